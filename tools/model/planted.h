/* Bugs to plant: each is a plausible reading of a looser text, or a slip. `check` has them by name and number. */
#define BUG_partner_not_awaited          (planted == 1)  /* rule 10: acknowledged as soon as it is durable here */
#define BUG_no_epoch_check               (planted == 2)  /* rule 6: any hello is accepted */
#define BUG_take_outside_insync          (planted == 3)  /* rule 1: whoever sees no key takes it */
#define BUG_alone_before_shrunk          (planted == 4)  /* rule 16: alone as soon as the request is sent */
#define BUG_grown_before_caught_up       (planted == 5)  /* rule 17: grown at the first word from the standby */
#define BUG_unknown_is_success           (planted == 6)  /* rule 15: no answer to a shrink is taken for yes */
#define BUG_position_reused              (planted == 7)  /* rule 11: the leader goes on after a failed commit */
#define BUG_cut_by_length                (planted == 8)  /* rule 7: cut to the shorter of both lengths */
#define BUG_cut_by_last_epoch            (planted == 9)  /* rule 7: cut where my last epoch ends in your log */
#define BUG_cut_too_deep                 (planted == 10) /* rule 7: one batch too many */
#define BUG_position_alone_counts        (planted == 11) /* rule 9: any standby's position counts */
#define BUG_settled_by_read              (planted == 12) /* rule 15: a read that shows me alone is believed */
#define BUG_late_answer_believed         (planted == 13) /* rule 13: an answer to a request that was given up */
#define BUG_old_hello_accepted           (planted == 14) /* rule 6: an older session of the same epoch */
#define BUG_no_revision_guard            (planted == 15) /* T1, rule 13: the key alone guards a change of insync */
#define BUG_epoch_resumed                (planted == 16) /* T2, rule 2: a restarted leader goes on under its key */
#define BUG_guard_by_name                (planted == 17) /* T3, rule 13: the key's holder is compared, not its epoch */
#define BUG_only_own_counts              (planted == 18) /* T4, rule 4: inherited batches count as not acknowledged */
#define BUG_step_down_only_for_members   (planted == 19) /* T5, rule 11: not for what went to a non-member */
#define BUG_unknown_settles              (planted == 20) /* T6, rule 15: no answer to a shrink means nothing more */
#define BUG_batch_epoch_compared         (planted == 21) /* T7, rule 6: batches of older epochs are refused */
#define BUG_session_not_compared         (planted == 22) /* rule 9: the epoch alone is compared */
#define BUG_shipped_before_epoch_durable (planted == 23) /* rule 3: hello and batches before epoch_started is durable */
#define BUG_names_not_identities         (planted == 24) /* rule 1: insync names nodes, whatever log they have now */
#define BUG_read_without_promise         (planted == 25) /* reads: whoever takes itself for the leader answers */
#define BUG_promise_forgotten            (planted == 26) /* reads: a restarted standby does not wait */
#define BUG_promise_binds_only_takes     (planted == 27) /* reads: an answer under way may still be entered on */
#define BUG_served_too_early             (planted == 28) /* rule 10: reads before epoch_started is acknowledged */
#define BUG_key_names_node               (planted == 29) /* rule 2: leader names a node, whatever log it has now */
#define BUG_stranger_counts              (planted == 30) /* rule 10: the peer counts, whatever log it has now */
#define BUG_session_unchecked            (planted == 31) /* rule 8: older sessions, too; harmless */
#define BUG_shrink_forgotten             (planted == 32) /* rule 16: alone without telling etcd */
#define BUG_promise_broken               (planted == 34) /* reads: a standby takes the lead whatever it promised */
