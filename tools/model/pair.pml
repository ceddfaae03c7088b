/* The pair's protocol: two nodes, each with a log, and one etcd. Design.md, "The pair's protocol", has the rules;
 * comments name them by number. `tools/model/check` runs this; planted.h has the bugs it must find.
 *
 * One process. Every action below is one indivisible step of one party, so that a crash, a freeze (a node that takes
 * no step for a while), the end of a lease or a loss fits between any two of them. A message stays under way for as
 * long as anybody could still accept it; it arrives in any order or never. A request to etcd that its sender gave up
 * may still be carried out. Nothing is counted: crashes, failed commits, sessions, writes and losses may come again
 * and again. What is bounded:
 *
 *   POSITIONS  places in the log; a batch takes one
 *   EPOCHS     epochs that are ever given out
 *   MESSAGES   messages under way from each node
 *
 * Faults that are tried only where they are asked for, since each of them multiplies the states:
 *
 *   CRASHES    a node forgets all but its log
 *   FAILURES   a leader's commit fails, and nothing of it is in the log
 *   SURVIVORS  a commit fails, and its batch may nevertheless be found in the log after a crash
 *   DISKS      a node starts with another disk, which is empty at first, and maybe with the former one again
 *   READS      promises: who may answer a read
 *
 * The run begins in epoch 1: A leads, both are in `insync`, `epoch_started` is acknowledged.
 */
#ifndef POSITIONS
#define POSITIONS 4
#endif
#ifndef EPOCHS
#define EPOCHS 2
#endif
#ifndef MESSAGES
#define MESSAGES 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef FAILURES
#define FAILURES 0
#endif
#ifndef SURVIVORS
#define SURVIVORS 0
#endif
#ifndef DISKS
#define DISKS 0
#endif
#ifndef READS
#define READS 0
#endif

/* The progress check writes on where a run has stopped, and needs room. */
#ifdef PROGRESS
#define WRITABLE (POSITIONS - 3)
#else
#define WRITABLE POSITIONS
#endif

#define A 0
#define B 1
#define BIT(n) (1 << (n))
#define BOTH 3

/* A batch is known by its position, the epoch that wrote it, and a variant: 0 is epoch_started, others are clients'.
 * Two logs that have the same batches up to a position have the same seal there. 0 is no batch. */
#define BATCH(epoch, variant) ((epoch) * 8 + (variant))
#define EPOCH_OF(batch) ((batch) / 8)
#define LOG(n, position) log[(n) * POSITIONS + (position) - 1]
#define LAST_EPOCH(n) (end[n] == 0 -> 0 : EPOCH_OF(LOG(n, end[n])))

/* ---- what a node has on its disk ---- */
byte log[2 * POSITIONS]; /* a leader's goes on in memory up to `gathered` */
byte end[2];             /* durable up to here */
byte survivor[2];        /* a batch whose commit failed behind `end`, and which a restart may find; 0 none */
bit identity[2];         /* of its log */
#if DISKS
byte other_log[2 * POSITIONS], other_end[2]; /* on the disk that is not there */
#endif

/* ---- what a node forgets in a crash ---- */
#define STANDBY 0
#define ENTERING 1       /* epoch_started is not durable yet */
#define LEADER 2
byte role[2];
byte promised[2];        /* the highest epoch of its log, accepted from a leader, or entered since the start */
byte session[2];         /* leader: number of its session; standby: of the newest it accepted from `promised`; 0 none */
byte gathered[2];        /* leader: end of its log in memory; standby: `end` */
byte handed[2];          /* leader: highest position behind `end` that was handed to the network; else 0 */
byte stored[2];          /* leader: 1 + what the peer has stored in this session (M); 0 nothing is known */
byte acknowledged[2];    /* leader: end of what may have been acknowledged (W) */
bit waits[2];            /* leader: acknowledgements wait for its partner in insync, too (need) */
bit unsettled[2];        /* leader: insync may be other than it is believed to be */
bit knows[2];            /* leader: the revision of insync that it knows is etcd's current one (rev) */
bit partner[2];          /* leader: the identity of the log that it waits for */
bit peer[2];             /* leader: the identity of the log that `stored` is about */

/* ---- etcd ---- */
byte key_holder;         /* leader: 0 nobody, else 1 + node */
byte key_epoch;          /* its creation revision */
bit key_identity;        /* of the holder's log */
byte epochs;             /* given out so far */
byte insync = BOTH;
bit insync_identity[2];  /* of the logs that it names */

/* The one request that a node waits for. TAKEN is the answer of a take: all its effects at etcd are other actions. */
#define TAKEN 1
#define SHRINK 2
#define GROW 3
#define SENT 1
#define DONE 2
#define REFUSED 3
byte request[2], phase[2];
bit guard_holds[2];      /* the request's guard names the current revision of insync */
byte answer_epoch[2], answer_insync[2];
bit answer_partner[2];   /* the other log's identity in it */
bit answer_current[2];   /* the revision in the answer is still etcd's */

/* Requests that were given up and may be carried out later: [2n] to shrink, [2n + 1] to grow. */
byte late_epoch[4];      /* 0 none */
bit late_guard_holds[4], late_partner[4], late_self[4]; /* the last two: whom they name */
bit late_answer[2];      /* only for a planted bug */

/* ---- the network: message x of node n is at n * MESSAGES + x ---- */
#define HELLO 1          /* rule 5; `position` and `content` are the leader's log, for the search of rule 7 */
#define SHIP 2           /* rule 8 */
#define STORED 3         /* rule 9; `batch` is the log's identity */
byte kind[2 * MESSAGES], from_epoch[2 * MESSAGES], from_session[2 * MESSAGES], position[2 * MESSAGES];
byte batch[2 * MESSAGES], content[2 * MESSAGES * POSITIONS];

/* ---- reads ---- */
bit trusts[2];           /* leader: by its own clock, the standby's promise not to take the lead stands */
bit bound[2];            /* a node: it may have given that promise, and by its own clock it may stand */

/* ---- what was ever acknowledged, for the checks ---- */
byte history[POSITIONS], history_end, history_epoch;

/* The bug that is planted, 0 for none: the number in `PLANTED` of the environment, so that one build serves all. */
byte planted;
#include "planted.h"

/* Scratch, 0 between steps. */
byte i, j, k, common, used, variant, rounds, mark, good;

/* ==== checks ==== */

/* Whoever stands in insync holds everything that was acknowledged. */
#define NAMED(n) ((insync & BIT(n)) && insync_identity[n] == identity[n])
inline check_insync() {
  for (k : A .. B) {
    if
    :: NAMED(k) ->
       for (i : 1 .. POSITIONS) {
         if :: i <= history_end -> assert(i <= end[k] && LOG(k, i) == history[i - 1]) :: else fi }
    :: else
    fi }
}

/* An acknowledgement up to `common` by n. */
inline check_acknowledgement(n) {
  if
  :: promised[n] >= history_epoch ->
     /* Nothing that was acknowledged is missing or elsewhere, and no position gets another batch. */
     for (i : 1 .. POSITIONS) {
       if :: i <= history_end -> assert(i <= end[n] && LOG(n, i) == history[i - 1]) :: else fi;
       if :: i <= common -> history[i - 1] = LOG(n, i) :: else fi };
     history_epoch = promised[n];
     if :: common > history_end -> history_end = common :: else fi
  :: else ->
     /* A leader of the past, that has not noticed, repeats what is history already. */
#ifdef REACH_LATE
     assert(false);
#endif
     assert(common <= history_end);
     for (i : 1 .. POSITIONS) { if :: i <= common -> assert(LOG(n, i) == history[i - 1]) :: else fi }
  fi
}

/* Whoever may answer reads shows all that was acknowledged, and nothing else, which might yet be lost. Alone in
 * insync, a leader needs no promise, since nobody else can take over. A lease would not do: the standby may take the
 * key away. Rule 10: not before its own epoch_started was acknowledged. */
#define SERVES(n) (acknowledged[n] > 0 && (BUG_served_too_early || EPOCH_OF(LOG(n, acknowledged[n])) == promised[n]))
#define MAY_READ(n) (role[n] == LEADER && SERVES(n) && \
    (trusts[n] || !waits[n] || BUG_read_without_promise))
inline check_reads() {
#if READS
  assert(!MAY_READ(A) || acknowledged[A] == history_end);
  assert(!MAY_READ(B) || acknowledged[B] == history_end)
#else
  skip
#endif
}

/* ==== small parts ==== */

inline clear_message(x) {
  kind[x] = 0; from_epoch[x] = 0; from_session[x] = 0; position[x] = 0; batch[x] = 0;
  for (i : 0 .. POSITIONS - 1) { content[(x) * POSITIONS + i] = 0 }
}
inline clear_request(n) {
  request[n] = 0; phase[n] = 0; guard_holds[n] = 0;
  answer_epoch[n] = 0; answer_insync[n] = 0; answer_partner[n] = 0; answer_current[n] = 0
}
inline clear_late(x) { late_epoch[x] = 0; late_guard_holds[x] = 0; late_partner[x] = 0; late_self[x] = 0 }

/* Whether the key is n's of this epoch: rule 13 compares the creation revision. */
#define HOLDS_KEY(n, epoch) (key_holder == (n) + 1 && (key_epoch == (epoch) || BUG_guard_by_name))

/* A request is given up: nobody knows whether it will be carried out. */
inline give_up(n) {
  if
  :: phase[n] == SENT && request[n] != TAKEN && (guard_holds[n] || BUG_no_revision_guard) ->
     late_epoch[2 * (n) + request[n] - SHRINK] = promised[n];
     late_guard_holds[2 * (n) + request[n] - SHRINK] = guard_holds[n];
     late_partner[2 * (n) + request[n] - SHRINK] = partner[n];
     late_self[2 * (n) + request[n] - SHRINK] = identity[n]
  :: BUG_late_answer_believed && phase[n] == DONE && request[n] == SHRINK -> late_answer[n] = 1
  :: else
  fi;
  clear_request(n)
}

/* What is only in memory is dropped. */
inline drop_gathered(n) {
  for (i : 1 .. POSITIONS) { if :: i > end[n] -> LOG(n, i) = 0 :: else fi };
  gathered[n] = end[n]
}

/* Rule 12. */
inline step_down(n) {
  give_up(n);
  role[n] = STANDBY; session[n] = 0; handed[n] = 0; stored[n] = 0; acknowledged[n] = 0;
  waits[n] = 0; unsettled[n] = 0; knows[n] = 0; partner[n] = 0; peer[n] = 0; trusts[n] = 0;
  drop_gathered(n)
}

inline crash(n, o) {
  step_down(n);
  promised[n] = LAST_EPOCH(n);
  if :: BUG_promise_forgotten -> bound[n] = 0 :: else fi; /* else it waits out the longest promise */
  /* Connections end with the process. What n itself has sent may still arrive. */
  for (j : 0 .. MESSAGES - 1) { clear_message((o) * MESSAGES + j) }
}
inline lose_survivor(n) { survivor[n] = 0 }
inline find_survivor(n) {
  if :: survivor[n] != 0 -> end[n]++; gathered[n] = end[n]; LOG(n, end[n]) = survivor[n]; survivor[n] = 0 :: else fi
}
#if DISKS
inline change_disk(n, o) {
  crash(n, o);
  for (i : 1 .. POSITIONS) {
    j = LOG(n, i); LOG(n, i) = other_log[(n) * POSITIONS + i - 1]; other_log[(n) * POSITIONS + i - 1] = j };
  j = end[n]; end[n] = other_end[n]; other_end[n] = j;
  gathered[n] = end[n]; survivor[n] = 0; promised[n] = LAST_EPOCH(n);
  identity[n] = 1 - identity[n];
  check_insync()
}
#define CHANGE_DISK(n, o) STEP(true, change_disk(n, o))
#else
#define CHANGE_DISK(n, o)
#endif

/* ==== taking the lead ==== */

/* Rule 1, at etcd: a take of n is carried out, now or late, also if n has another log by now, and n knows nothing of it
 * yet. */
#define MAY_APPEAR(n) (key_holder == 0 && ((insync & BIT(n)) || BUG_take_outside_insync))
inline key_appears(n) {
  epochs++; key_holder = n + 1; key_epoch = epochs;
  key_identity = (BUG_take_outside_insync || BUG_names_not_identities -> identity[n] : insync_identity[n])
}
/* By itself, or taken away by the standby. */
inline key_ends() { key_holder = 0; key_epoch = 0; key_identity = 0 }

/* Rules 1 and 2: an answer or a read shows n its key. An epoch is entered at most once. */
#define FRESH(n, epoch) ((epoch) > promised[n] || (BUG_epoch_resumed && (epoch) == promised[n]))
#define MAY_SEE_KEY(n) (role[n] == STANDBY && request[n] == 0 && key_holder == n + 1 && FRESH(n, key_epoch) && \
    (key_identity == identity[n] || BUG_key_names_node) && (!bound[n] || !BUG_promise_binds_only_takes))
inline see_key(n) {
  request[n] = TAKEN; phase[n] = DONE;
  answer_epoch[n] = key_epoch; answer_insync[n] = insync; answer_current[n] = 1;
  answer_partner[n] = (insync == BOTH -> insync_identity[1 - (n)] : 0)
}

/* Rules 3 and 4. A promise binds whoever gave it after the answer was sent, too. */
#define MAY_ENTER(n) (request[n] == TAKEN && end[n] < WRITABLE && \
    (!bound[n] || BUG_promise_binds_only_takes || BUG_promise_broken))
inline enter(n) {
  if
  :: FRESH(n, answer_epoch[n]) ->
     role[n] = ENTERING; promised[n] = answer_epoch[n]; session[n] = 0; survivor[n] = 0;
     acknowledged[n] = (BUG_only_own_counts -> 0 : end[n]);
     waits[n] = (answer_insync[n] == BOTH); partner[n] = answer_partner[n]; knows[n] = answer_current[n];
     if
     :: LAST_EPOCH(n) == promised[n] -> role[n] = LEADER /* only for a planted bug */
     :: else -> gathered[n] = end[n] + 1; LOG(n, gathered[n]) = BATCH(promised[n], 0)
     fi
  :: else
  fi;
  clear_request(n)
}

/* ==== the leader's log ==== */

/* The batch differs from all that were ever at its place in this epoch and could be met again. */
inline write(n, o) {
  gathered[n]++; variant = 0; used = 1;
  do
  :: used ->
     variant++; used = 0;
     if :: LOG(o, gathered[n]) == BATCH(promised[n], variant) || history[gathered[n] - 1] == BATCH(promised[n], variant)
           -> used = 1 :: else fi;
     for (j : A .. B) {
       if :: survivor[j] == BATCH(promised[n], variant) && end[j] + 1 == gathered[n] -> used = 1 :: else fi };
     for (j : 0 .. 2 * MESSAGES - 1) {
       if :: (kind[j] == SHIP && position[j] == gathered[n] && batch[j] == BATCH(promised[n], variant)) ||
             (kind[j] == HELLO && content[j * POSITIONS + gathered[n] - 1] == BATCH(promised[n], variant))
             -> used = 1 :: else fi }
  :: else -> break
  od;
  assert(variant < 8);
  LOG(n, gathered[n]) = BATCH(promised[n], variant)
}

#define MAY_COMMIT(n) (role[n] != STANDBY && gathered[n] > end[n])
inline commit(n) { end[n]++; role[n] = LEADER; survivor[n] = 0; if :: handed[n] == end[n] -> handed[n] = 0 :: else fi }

/* Rule 11. */
inline fail_commit(n) {
  if
  :: role[n] == ENTERING || (handed[n] != 0 && !BUG_position_reused && (waits[n] || !BUG_step_down_only_for_members)) ->
     step_down(n)
  :: else -> handed[n] = 0; drop_gathered(n); if :: stored[n] > end[n] + 1 -> stored[n] = end[n] + 1 :: else fi
  fi
}
inline fail_commit_and_survive(n) { survivor[n] = LOG(n, end[n] + 1); fail_commit(n) }

/* ==== sessions and shipping ==== */

#define MAY_SEND(n) (kind[(n) * MESSAGES + MESSAGES - 1] == 0)
#define SPEAKS(n) (role[n] == LEADER || (role[n] == ENTERING && BUG_shipped_before_epoch_durable))

/* Rule 5. Its number is one more than any that the peer could have seen; tidy() keeps them small. The search of rule 7
 * meets a leader's log as it was then, or with what has become durable since: it was gathered before, as else the peer
 * could not have it. */
inline hello(n, known) {
  session[n]++; stored[n] = 0; peer[n] = 0;
  kind[(n) * MESSAGES + MESSAGES - 1] = HELLO;
  from_epoch[(n) * MESSAGES + MESSAGES - 1] = promised[n];
  from_session[(n) * MESSAGES + MESSAGES - 1] = session[n];
  position[(n) * MESSAGES + MESSAGES - 1] = known;
  for (i : 1 .. POSITIONS) {
    content[((n) * MESSAGES + MESSAGES - 1) * POSITIONS + i - 1] = (i <= known -> LOG(n, i) : 0) }
}

/* Rule 8: from M + 1 on, also before the own commit. */
#define MAY_SHIP(n, ahead) (SPEAKS(n) && stored[n] > 0 && stored[n] + (ahead) <= gathered[n])
inline ship(n, ahead) {
  kind[(n) * MESSAGES + MESSAGES - 1] = SHIP;
  from_epoch[(n) * MESSAGES + MESSAGES - 1] = promised[n];
  from_session[(n) * MESSAGES + MESSAGES - 1] = session[n];
  position[(n) * MESSAGES + MESSAGES - 1] = stored[n] + (ahead);
  batch[(n) * MESSAGES + MESSAGES - 1] = LOG(n, stored[n] + (ahead));
  if :: stored[n] + (ahead) > end[n] && stored[n] + (ahead) > handed[n] -> handed[n] = stored[n] + (ahead) :: else fi
}

/* Rule 6: the sender's epoch and session count, whatever epochs its batches are of. What a log refuses that stands alone
   in insync, for the case that etcd was restored, is here like any message that is lost. */
#define ACCEPTS(n, x) (BUG_no_epoch_check || (from_epoch[x] >= promised[n] && (from_epoch[x] > promised[n] || \
    (role[n] == STANDBY && (from_session[x] > session[n] || BUG_old_hello_accepted)))))
#define FOLLOWS(n, x) (role[n] == STANDBY && session[n] > 0 && \
    (session[n] == from_session[x] || BUG_session_unchecked) && \
    (from_epoch[x] == promised[n] || BUG_no_epoch_check) && \
    (!BUG_batch_epoch_compared || EPOCH_OF(batch[x]) >= promised[n]))

/* Rule 7: the newest position at which both logs have the same seal; all behind it is cut. */
inline find_common(n, x) {
  common = 0;
  for (i : 1 .. POSITIONS) {
    if :: common == i - 1 && i <= end[n] && LOG(n, i) == content[(x) * POSITIONS + i - 1] -> common = i :: else fi };
  if
  :: BUG_cut_by_length -> common = (end[n] < position[x] -> end[n] : position[x])
  :: BUG_cut_by_last_epoch ->
     common = 0;
     for (i : 1 .. POSITIONS) {
       if :: i <= position[x] && EPOCH_OF(content[(x) * POSITIONS + i - 1]) <= LAST_EPOCH(n) -> common = i :: else fi };
     if :: common > end[n] -> common = end[n] :: else fi
  :: BUG_cut_too_deep && common > 0 && common < end[n] -> common--
  :: else
  fi
}
inline cut(n) {
  if :: common < end[n] -> survivor[n] = 0 :: else fi;
  end[n] = common; drop_gathered(n)
}

inline store(n, x) { end[n]++; gathered[n] = end[n]; LOG(n, end[n]) = batch[x]; survivor[n] = 0 }

/* Rule 9. */
#define COUNTS(n, x) (SPEAKS(n) && position[x] + 1 > stored[n] && (BUG_position_alone_counts || \
    (from_epoch[x] == promised[n] && (from_session[x] == session[n] || BUG_session_not_compared))))
#define MAY_TELL_STORED(n) (role[n] == STANDBY && session[n] > 0)
inline tell_stored(n) {
  kind[(n) * MESSAGES + MESSAGES - 1] = STORED;
  from_epoch[(n) * MESSAGES + MESSAGES - 1] = promised[n];
  from_session[(n) * MESSAGES + MESSAGES - 1] = session[n];
  position[(n) * MESSAGES + MESSAGES - 1] = end[n];
  batch[(n) * MESSAGES + MESSAGES - 1] = identity[n]
}

inline receive(n, x) {
  if
  :: kind[x] == HELLO && ACCEPTS(n, x) ->
     if :: role[n] != STANDBY -> step_down(n) :: else fi;
     find_common(n, x); cut(n);
     promised[n] = from_epoch[x]; session[n] = from_session[x];
     check_insync()
  :: kind[x] == SHIP && FOLLOWS(n, x) && position[x] == end[n] + 1 -> store(n, x)
  :: kind[x] == STORED && COUNTS(n, x) -> stored[n] = position[x] + 1; peer[n] = batch[x]
  :: else /* dropped */
  fi;
  clear_message(x)
}
inline receive_and_fail(n, x) { survivor[n] = batch[x]; clear_message(x) }

/* ==== acknowledging: rule 10 ==== */

#define WAITS(n) (waits[n] && !BUG_partner_not_awaited)
#define IS_PARTNER(n) (stored[n] > 0 && (peer[n] == partner[n] || BUG_stranger_counts))
#define MAY_ACKNOWLEDGE(n) (role[n] == LEADER && end[n] > acknowledged[n] && \
    (!WAITS(n) || (IS_PARTNER(n) && stored[n] > acknowledged[n] + 1)))
inline acknowledge(n) {
  common = end[n];
  if :: WAITS(n) && stored[n] - 1 < common -> common = stored[n] - 1 :: else fi;
  check_acknowledgement(n);
  acknowledged[n] = common;
  check_insync()
}

/* ==== changing insync: rules 13 to 17 ==== */

#define MAY_ASK(n) (role[n] == LEADER && request[n] == 0 && waits[n])
inline ask(n, what) { request[n] = what; phase[n] = SENT; guard_holds[n] = knows[n] }
inline shrink(n) { ask(n, SHRINK); if :: BUG_alone_before_shrunk -> waits[n] = 0 :: else fi }

/* Rule 17. A partner that comes back with another log is no partner until insync was shrunk. */
#define MAY_START_TO_GROW(n) (role[n] == LEADER && stored[n] > 0 && !waits[n])
inline start_to_grow(n) { waits[n] = 1; unsettled[n] = 1; partner[n] = peer[n] }
#define MAY_GROW(n) (MAY_ASK(n) && unsettled[n] && IS_PARTNER(n) && \
    (stored[n] > acknowledged[n] || BUG_grown_before_caught_up))
inline grow(n) { ask(n, GROW) }

/* At etcd. The revision moves, so that whoever knew the last one knows no longer. */
inline write_insync(n, o, what, partner_named, self_named) {
  insync = (what == GROW -> BOTH : BIT(n));
  insync_identity[o] = (what == GROW && partner_named); insync_identity[n] = self_named;
  for (i : A .. B) { knows[i] = 0; guard_holds[i] = 0; answer_current[i] = 0 };
  for (i : 0 .. 3) { late_guard_holds[i] = 0 };
  check_insync()
}

/* Rule 13. That the key is gone is not answered here: rules 14 and 18, and an operator's switchover, are one action,
 * to step down at any time. */
#define MAY_ANSWER(n) (phase[n] == SENT && HOLDS_KEY(n, promised[n]))
inline carry_out(n, o) {
  if
  :: guard_holds[n] || BUG_no_revision_guard ->
     write_insync(n, o, request[n], partner[n], identity[n]); phase[n] = DONE
  :: else -> phase[n] = REFUSED
  fi;
  guard_holds[n] = 0; answer_current[n] = 1
}
#define MAY_COME_LATE(n, x) (late_epoch[x] != 0 && HOLDS_KEY(n, late_epoch[x]) && \
    (late_guard_holds[x] || BUG_no_revision_guard))
inline carry_out_late(n, o, x, what) { write_insync(n, o, what, late_partner[x], late_self[x]); clear_late(x) }

/* Rules 14, 16 and 17. */
inline take_answer(n) {
  if
  :: phase[n] == DONE && request[n] == SHRINK -> waits[n] = 0; unsettled[n] = 0; partner[n] = 0
  :: phase[n] == DONE && request[n] == GROW -> unsettled[n] = 0
  :: else
  fi;
  knows[n] = answer_current[n];
  clear_request(n)
}

/* Rule 15. */
inline time_out(n) {
  if
  :: role[n] == LEADER && BUG_unknown_is_success && request[n] == SHRINK -> waits[n] = 0; unsettled[n] = 0
  :: role[n] == LEADER && !(BUG_unknown_settles && request[n] == SHRINK) -> unsettled[n] = 1
  :: else
  fi;
  give_up(n)
}

/* ==== reads ==== */

/* A promise is given in a session. By the clocks, a leader ceases to trust before the standby ceases to be bound. */
#define SAME_SESSION(n, o) (role[n] == LEADER && role[o] == STANDBY && promised[o] == promised[n] && \
    session[n] > 0 && session[o] == session[n])

#include "tidy.h"
#include "progress.h"

/* ==== what may happen ==== */

#define TIDY c_code { tidy(); }; skip
/* What is printed is only seen when a violation is replayed. */
#define STEP(guard, action) :: d_step { guard -> printf(#action); printf("\n"); action; check_reads(); TIDY }
#define RECEIVE(n, o, x) \
  STEP(kind[(o) * MESSAGES + x] != 0, receive(n, (o) * MESSAGES + x)) \
  STEP(kind[(o) * MESSAGES + x] != 0, clear_message((o) * MESSAGES + x)) \
  STEP(SURVIVORS && kind[(o) * MESSAGES + x] == SHIP && FOLLOWS(n, (o) * MESSAGES + x) && \
       position[(o) * MESSAGES + x] == end[n] + 1, receive_and_fail(n, (o) * MESSAGES + x))

#define NODE(n, o) \
  STEP(MAY_APPEAR(n) && epochs < EPOCHS, key_appears(n)) \
  STEP(MAY_SEE_KEY(n), see_key(n)) \
  STEP(MAY_ENTER(n), enter(n)) \
  STEP(request[n] == TAKEN, clear_request(n)) \
  STEP(role[n] == LEADER && gathered[n] < WRITABLE, write(n, o)) \
  STEP(MAY_COMMIT(n), commit(n)) \
  STEP(FAILURES && MAY_COMMIT(n), fail_commit(n)) \
  STEP(SURVIVORS && MAY_COMMIT(n), fail_commit_and_survive(n)) \
  STEP(SPEAKS(n) && MAY_SEND(n), hello(n, gathered[n])) \
  STEP(SPEAKS(n) && MAY_SEND(n) && end[n] < gathered[n], hello(n, end[n])) \
  STEP(MAY_SEND(n) && MAY_SHIP(n, 0), ship(n, 0)) \
  STEP(MAY_SEND(n) && MAY_SHIP(n, 1), ship(n, 1)) \
  STEP(MAY_SEND(n) && MAY_TELL_STORED(n), tell_stored(n)) \
  RECEIVE(n, o, 0) MORE_MESSAGES(n, o) \
  STEP(MAY_ACKNOWLEDGE(n), acknowledge(n)) \
  STEP(MAY_START_TO_GROW(n), start_to_grow(n)) \
  STEP(MAY_GROW(n), grow(n)) \
  STEP(MAY_ASK(n), shrink(n)) \
  STEP(MAY_ANSWER(n), carry_out(n, o)) \
  STEP(request[n] > TAKEN && phase[n] != SENT, take_answer(n)) \
  STEP(request[n] > TAKEN, time_out(n)) \
  STEP(MAY_COME_LATE(n, 2 * (n)), carry_out_late(n, o, 2 * (n), SHRINK)) \
  STEP(MAY_COME_LATE(n, 2 * (n) + 1), carry_out_late(n, o, 2 * (n) + 1, GROW)) \
  STEP(role[n] != STANDBY, step_down(n)) \
  STEP(CRASHES, crash(n, o); lose_survivor(n)) \
  STEP(SURVIVORS && survivor[n] != 0, crash(n, o); find_survivor(n); promised[n] = LAST_EPOCH(n)) \
  CHANGE_DISK(n, o) \
  STEP(READS && SAME_SESSION(n, o) && !trusts[n], trusts[n] = 1; bound[o] = 1) \
  STEP(trusts[n], trusts[n] = 0) \
  STEP(bound[n] && !trusts[o], bound[n] = 0) /* by the clock, or since the leader said that it left the epoch */ \
  STEP(late_answer[n], if :: role[n] == LEADER -> waits[n] = 0; unsettled[n] = 0 :: else fi; late_answer[n] = 0) \
  STEP(BUG_shrink_forgotten && role[n] == LEADER && waits[n], waits[n] = 0) \
  STEP(BUG_settled_by_read && role[n] == LEADER && waits[n] && unsettled[n] && request[n] == 0 && \
       HOLDS_KEY(n, promised[n]) && insync == BIT(n), waits[n] = 0; unsettled[n] = 0)
#if MESSAGES > 1
#define MORE_MESSAGES(n, o) RECEIVE(n, o, 1)
#else
#define MORE_MESSAGES(n, o)
#endif

active proctype pair() {
  d_step {
    c_code { { char *name = getenv("PLANTED"); now.planted = name ? atoi(name) : 0; } };
    key_holder = 1; key_epoch = 1; epochs = 1;
    for (i : A .. B) {
      LOG(i, 1) = BATCH(1, 0); end[i] = 1; gathered[i] = 1; promised[i] = 1; session[i] = 1
    };
    role[A] = LEADER; stored[A] = 2; acknowledged[A] = 1; waits[A] = 1; knows[A] = 1;
    history[0] = BATCH(1, 0); history_end = 1; TIDY
  };
end_idle:
  do
  NODE(A, B)
  NODE(B, A)
  STEP(key_holder != 0, key_ends())
#ifdef PROGRESS
  STEP(insync != 0, calm(BOTH); wipe())
  STEP(insync & 1, calm(1); wipe())
  STEP(insync & 2, calm(2); wipe())
#endif
#ifdef REACH /* must be found, else the search would have been of nothing */
  STEP(history_end == POSITIONS && EPOCH_OF(history[POSITIONS - 1]) == EPOCHS && insync == BOTH, assert(false))
#endif
  od
}
