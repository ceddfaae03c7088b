/* Does the pair serve again once faults stop? From every state that was reached, a fixed and fair schedule, at most 60
 * rounds, must lead to a new batch acknowledged, with both alive to both in insync. It shows that a good end can be
 * reached from everywhere, not that every fair schedule gets there. */

#define DEAD(n) (alive != BOTH && !(alive & BIT(n)))
#define MAY_ENTER_CALMLY(n) (request[n] == TAKEN && end[n] < POSITIONS)
#define LEADS(n) (role[n] != STANDBY && key_holder == (n) + 1 && key_epoch == promised[n])

inline calm_turn(n, o, alive) {
  if
  :: DEAD(n)
  :: else ->
     if :: MAY_ANSWER(n) -> carry_out(n, o) :: else fi;
     if :: MAY_ENTER_CALMLY(n) -> enter(n) :: request[n] > TAKEN && phase[n] != SENT -> take_answer(n) :: else fi;
     if :: kind[(o) * MESSAGES] != 0 -> receive(n, (o) * MESSAGES) :: else fi;
     if :: MAY_COMMIT(n) -> commit(n) :: else fi;
     if :: role[n] != STANDBY && !LEADS(n) -> step_down(n) :: else fi;
     if :: MAY_ACKNOWLEDGE(n) -> acknowledge(n) :: else fi;
     if :: role[n] == STANDBY && request[n] == 0 && MAY_APPEAR(n) -> key_appears(n) :: else fi;
     if :: MAY_SEE_KEY(n) -> see_key(n) :: else fi;
     if :: role[n] == LEADER && !DEAD(o) && !SAME_SESSION(n, o) && MAY_SEND(n) -> hello(n, gathered[n]) :: else fi;
     if :: SAME_SESSION(n, o) && !DEAD(o) && MAY_SEND(n) && MAY_SHIP(n, 0) && end[o] < stored[n]
           -> ship(n, 0) :: else fi;
     if :: SAME_SESSION(o, n) && !DEAD(o) && MAY_SEND(n) && stored[o] < end[n] + 1 -> tell_stored(n) :: else fi;
     if :: DEAD(o) && MAY_ASK(n) -> shrink(n) :: else fi;
     if :: !DEAD(o) && MAY_START_TO_GROW(n) -> start_to_grow(n) :: else fi;
     if :: !DEAD(o) && MAY_GROW(n) -> grow(n) :: else fi;
     if
     :: mark == 0 && role[n] == LEADER && LEADS(n) && gathered[n] < POSITIONS && request[n] == 0 &&
        (DEAD(o) -> !waits[n] : (waits[n] && !unsettled[n])) -> write(n, o); mark = gathered[n]
     :: else
     fi
  fi
}

inline calm(alive) {
  for (j : 0 .. 2 * MESSAGES - 1) { clear_message(j) };
  for (j : A .. B) { trusts[j] = 0; bound[j] = 0 };
  for (j : 0 .. 3) { clear_late(j) };
  rounds = 0; mark = 0; good = 0;
  do
  :: rounds < 60 && !good ->
     rounds++;
     /* The lease of a holder that is dead, or can never enter on it, ends. */
     if
     :: key_holder != 0 && (DEAD(key_holder - 1) ||
        (!LEADS(key_holder - 1) && !(role[key_holder - 1] == STANDBY && key_epoch > promised[key_holder - 1]))) ->
        key_ends()
     :: else
     fi;
     calm_turn(A, B, alive);
     calm_turn(B, A, alive);
     if :: mark > 0 && history_end >= mark && (alive != BOTH || (NAMED(A) && NAMED(B))) -> good = 1 :: else fi
  :: else -> break
  od;
  assert(good)
}

/* One end for all calm runs, so that they add no states. */
inline wipe() {
  for (i : 0 .. 2 * MESSAGES - 1) {
    kind[i] = 0; from_epoch[i] = 0; from_session[i] = 0; position[i] = 0; batch[i] = 0 };
  for (i : 0 .. 2 * POSITIONS - 1) { log[i] = 0 };
  for (i : 0 .. 2 * MESSAGES * POSITIONS - 1) { content[i] = 0 };
  for (i : 0 .. POSITIONS - 1) { history[i] = 0 };
  for (i : A .. B) {
    end[i] = 0; survivor[i] = 0; role[i] = 0; promised[i] = 255; session[i] = 0; gathered[i] = WRITABLE; handed[i] = 0;
    stored[i] = 0; acknowledged[i] = 0; waits[i] = 0; unsettled[i] = 0; knows[i] = 0; partner[i] = 0; peer[i] = 0;
    insync_identity[i] = 0; 
    request[i] = 0; phase[i] = 0; guard_holds[i] = 0;
    answer_epoch[i] = 0; answer_insync[i] = 0; answer_partner[i] = 0; answer_current[i] = 0;
     late_answer[i] = 0;
    trusts[i] = 0; bound[i] = 0
  };
  key_holder = 0; key_epoch = 0; key_identity = 0; epochs = EPOCHS; insync = 0; history_end = 0; history_epoch = 0
}
