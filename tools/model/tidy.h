/* After each step, whatever can no longer matter is set to one value, so that states that behave alike are one state.
 * Each removal is of something that would be ignored now and for ever, by the rule that is named; a message may be
 * lost at any time anyhow, so that none of them adds or hides a run. (A planted bug may break the reason. It can then
 * only be harder to find.) In C, since it follows every step; `now` is the state. */

#define log now.log
#define role now.role
#define promised now.promised
#define session now.session
#define stored now.stored
#define end now.end
#define request now.request
#define kind now.kind
#define from_epoch now.from_epoch
#define from_session now.from_session
#define position now.position
#define batch now.batch
#define content now.content
#define key_holder now.key_holder
#define key_epoch now.key_epoch
#define planted now.planted

c_code {
#define FIRST(n) ((n) * MESSAGES)
#define AFTER(n) (FIRST(n) + MESSAGES)

static void forget_message(int x) {
  kind[x] = from_epoch[x] = from_session[x] = position[x] = batch[x] = 0;
  memset(&content[x * POSITIONS], 0, POSITIONS);
}

/* Rule 8: whether a batch is of the session that the peer is in, or of one whose hello is still under way. */
static int is_ship_alive(int n, int o, int x) {
  int y;
  if (FOLLOWS(n, x) && position[x] > end[n]) return 1;
  for (y = FIRST(o); y < AFTER(o); y++)
    if (kind[y] == HELLO && from_epoch[y] == from_epoch[x] && from_session[y] == from_session[x]) return 1;
  return 0;
}

static int order(int x) {
  return (((kind[x] * 8 + from_epoch[x]) * 8 + from_session[x]) * 8 + position[x]) * 64 + batch[x];
}

static void exchange(int x, int y) {
  uchar spare, i;
#define EXCHANGE(array, x, y) spare = array[x], array[x] = array[y], array[y] = spare
  EXCHANGE(kind, x, y); EXCHANGE(from_epoch, x, y); EXCHANGE(from_session, x, y);
  EXCHANGE(position, x, y); EXCHANGE(batch, x, y);
  for (i = 0; i < POSITIONS; i++) EXCHANGE(content, x * POSITIONS + i, y * POSITIONS + i);
}

/* From o to n. */
static void tidy_messages(int n, int o) {
  int x, y;
  for (x = FIRST(o); x < AFTER(o); x++) {
    /* Rule 9: of another session than the leader's, or not news. Sessions never come back. */
    if (kind[x] == STORED && !COUNTS(n, x)) forget_message(x);
    /* Rule 6: whoever promised more, or accepted a newer session, will not accept an older one before it crashes, and
     * a crash ends the connections. */
    if (kind[x] == HELLO && !ACCEPTS(n, x)) forget_message(x);
  }
  for (x = FIRST(o); x < AFTER(o); x++)
    if (kind[x] == SHIP && !is_ship_alive(n, o, x)) forget_message(x);
  /* They arrive in any order: two in one order are the same as in the other. Empty places come last. */
  for (x = FIRST(o); x < AFTER(o); x++)
    for (y = x + 1; y < AFTER(o); y++)
      if (order(x) < order(y)) exchange(x, y);
}

#define MATTERS(epoch) (last <= (epoch) && (epoch) <= promised[n])

static void tidy_node(int n, int o) {
  int x, is_over, last, is_compared;
  /* A standby's session is over when nobody can speak in it any more. */
  is_over = role[n] == STANDBY && !(role[o] != STANDBY && promised[o] == promised[n]) && !BUG_epoch_resumed;
  for (x = FIRST(o); x < AFTER(o); x++)
    if ((kind[x] == HELLO || kind[x] == SHIP) && from_epoch[x] == promised[n]) is_over = 0;
  if (is_over) session[n] = 0;

  /* Rule 2: such an answer leads nowhere. */
  if (request[n] == TAKEN && !FRESH(n, now.answer_epoch[n])) {
    request[n] = now.phase[n] = 0;
    now.answer_epoch[n] = now.answer_insync[n] = now.answer_partner[n] = now.answer_current[n] = 0;
  }

  /* Rule 13: such requests will be refused, since neither an epoch nor a revision comes back. */
  for (x = 2 * n; x < 2 * n + 2; x++)
    if ((!now.late_guard_holds[x] && !BUG_no_revision_guard) ||
        (!HOLDS_KEY(n, now.late_epoch[x]) && !BUG_guard_by_name))
      now.late_epoch[x] = now.late_guard_holds[x] = now.late_partner[x] = now.late_self[x] = 0;

  /* Rules 13 to 16: without its key a leader changes insync no more; only the answer to a shrink may still come. */
  if (role[n] != STANDBY && !(key_holder == n + 1 && key_epoch == promised[n]) && !BUG_guard_by_name) {
    now.unsettled[n] = now.knows[n] = 0;
    now.guard_holds[n] = now.answer_current[n] = 0;
    if (request[n] != SHRINK || now.phase[n] != DONE) request[n] = now.phase[n] = 0;
  }

  /* Rules 2 and 6: a promise is compared with the epochs of those who lead, or may come to, and of what they sent. */
  last = end[n] == 0 ? 0 : EPOCH_OF(LOG(n, end[n]));
  is_compared = role[n] != STANDBY || session[n] != 0 || BUG_epoch_resumed;
  for (x = FIRST(o); x < AFTER(o); x++) if (kind[x] == HELLO && MATTERS(from_epoch[x])) is_compared = 1;
  if (role[o] != STANDBY && MATTERS(promised[o])) is_compared = 1;
  if (request[o] == TAKEN && MATTERS(now.answer_epoch[o])) is_compared = 1;
  if (key_holder != 0 && MATTERS(key_epoch)) is_compared = 1;
  if (!is_compared) promised[n] = last;
}

/* Rule 7: behind the common part, a log that was announced is of no interest, if nothing can bring the other node's log
 * nearer to it before the hello is accepted: no older session in which batches come. */
static void tidy_content(int n, int o) {
  int x, y, hellos = 0, common = 0;
  if ((role[n] == STANDBY && session[n] != 0) || BUG_cut_by_length || BUG_cut_by_last_epoch) return;
  for (x = FIRST(o); x < AFTER(o); x++) if (kind[x] == HELLO) hellos++, y = x;
  if (hellos != 1) return;
  while (common < POSITIONS && common < now.gathered[n] && LOG(n, common + 1) == content[y * POSITIONS + common])
    common++;
  position[y] = common;
  memset(&content[y * POSITIONS + common], 0, POSITIONS - common);
}

/* Sessions are only compared with others of their epoch: they are numbered anew from 1, in their order. */
static void tidy_sessions(void) {
  int epoch, old, new, is_used, n, x;
  for (epoch = 1; epoch <= now.epochs; epoch++)
    for (old = new = 1; old <= 2 * MESSAGES + 3; old++) {
      is_used = 0;
      for (n = A; n <= B; n++) if (promised[n] == epoch && session[n] == old) is_used = 1, session[n] = new;
      for (x = 0; x < AFTER(B); x++)
        if (from_epoch[x] == epoch && from_session[x] == old) is_used = 1, from_session[x] = new;
      new += is_used;
    }
}

/* Whether n acknowledges in an epoch before the newest that did, or may come to do so without knowing of it. */
static int is_behind(int n) {
  return (role[n] != STANDBY && promised[n] < now.history_epoch) ||
         (request[n] == TAKEN && now.answer_epoch[n] < now.history_epoch);
}

/* UNTIDY leaves all that can be left without end: it shows on a small search that nothing was hidden. */
static void tidy(void) {
#ifndef UNTIDY
  tidy_messages(A, B); tidy_messages(B, A);
  tidy_node(A, B); tidy_node(B, A);
  tidy_content(A, B); tidy_content(B, A);
  if (!is_behind(A) && !is_behind(B)) now.history_epoch = 0;
#endif
  tidy_sessions();
  now.i = now.j = now.k = now.common = now.used = now.variant = now.rounds = now.mark = now.good = 0;
}
}

#undef log
#undef role
#undef promised
#undef session
#undef stored
#undef end
#undef request
#undef kind
#undef from_epoch
#undef from_session
#undef position
#undef batch
#undef content
#undef key_holder
#undef key_epoch
#undef planted
