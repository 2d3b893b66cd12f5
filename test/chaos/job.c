/*
 * The job of the chaos suite: says what it did in a file no fault touches, one write per line, so that the checker need not believe anybody.
 *
 * job EVIDENCE LOCK|- MIN_MS MAX_MS FAIL_PERMILLE BYTES_MAX HOW
 *
 * Duration, exit code and output follow from BELFRY_EXECUTION_ID alone. LOCK is held while it runs: who finds it held says so (an overlap;
 * the kernel gives it back at the very death of its holder). HOW: d dies of SIGTERM, g ends itself with code 75, i ignores it.
 * Lines (tabs between the fields, ns since 1970):
 *   S ns execution attempt group scheduled-at job trigger pid ppid
 *   O ns execution                 the lock was held
 *   T ns execution                 SIGTERM came (g, i)
 *   E ns execution exit-code bytes fnv1a64
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static const uint64_t FNV_START = 1469598103934665603ULL, FNV_PRIME = 1099511628211ULL;
static volatile sig_atomic_t termed = 0;
static void on_term(int number) { (void)number; termed = 1; }

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static double monotonic_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1000.0 + (double)t.tv_nsec / 1e6;
}

static const char *env(const char *name) {
  const char *value = getenv(name);
  return value == NULL || *value == 0 ? "-" : value;
}

static int evidence = -1;
static void say(const char *line, int length) {
  if (write(evidence, line, (size_t)length) != length) _exit(98);
}

static uint64_t state;
static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

int main(int argc, char **argv) {
  char line[2048];
  if (argc < 8) return 97;
  evidence = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (evidence < 0) return 98;
  const char *id = env("BELFRY_EXECUTION_ID");
  say(line, snprintf(line, sizeof line, "S\t%lld\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", now_ns(), id, env("BELFRY_ATTEMPT"), env("BELFRY_GROUP"),
                     env("BELFRY_SCHEDULED_AT"), env("BELFRY_JOB"), env("BELFRY_TRIGGER"), (int)getpid(), (int)getppid()));
  if (strcmp(argv[2], "-") != 0) {
    int lock = open(argv[2], O_RDWR | O_CREAT, 0644);
    if (lock < 0) return 98;
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) say(line, snprintf(line, sizeof line, "O\t%lld\t%s\n", now_ns(), id));
  }
  if (argv[7][0] != 'd') {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_term;
    sigaction(SIGTERM, &action, NULL);
  }
  state = FNV_START;
  for (const char *c = id; *c; c++) state = (state ^ (unsigned char)*c) * FNV_PRIME;
  if (state == 0) state = 1;
  for (int i = 0; i < 8; i++) next();
  long min = atol(argv[3]), max = atol(argv[4]), bytes_max = atol(argv[6]);
  /* Small durations are likelier than large ones, as in life. */
  double share = (double)(next() % 1000000) / 1e6;
  double duration = (double)min + share * share * (double)(max - min);
  int code = (long)(next() % 1000) < atol(argv[5]) ? 1 + (int)(next() % 9) : 0;
  long to_write = bytes_max <= 0 ? 0 : (long)(next() % (uint64_t)bytes_max);
  uint64_t hash = FNV_START;
  long written = 0, tried = 0;
  double began = monotonic_ms();
  int told = 0;
  for (;;) {
    double elapsed = monotonic_ms() - began;
    long due = duration <= 0 || elapsed >= duration ? to_write : (long)((double)to_write * elapsed / duration);
    while (tried < due) {
      unsigned char chunk[4096];
      long length = due - tried < (long)sizeof chunk ? due - tried : (long)sizeof chunk;
      for (long i = 0; i < length; i++) chunk[i] = i % 80 == 79 ? '\n' : (unsigned char)(next() % 8 == 0 ? next() & 0xff : 'a' + next() % 26);
      ssize_t done = write(1, chunk, (size_t)length);
      /* A full disk is not the job's end: what did not go in does not count. */
      for (ssize_t i = 0; i < done; i++) hash = (hash ^ chunk[i]) * FNV_PRIME;
      if (done > 0) written += done;
      tried += length;
    }
    if (termed && !told) {
      told = 1;
      say(line, snprintf(line, sizeof line, "T\t%lld\t%s\n", now_ns(), id));
      if (argv[7][0] == 'g') {
        code = 75;
        break;
      }
    }
    if (elapsed >= duration) break;
    double rest = duration - elapsed;
    double step = to_write > 0 && rest > 50 ? 50 : rest;
    struct timespec pause = {(time_t)(step / 1000.0), (long)((step - 1000.0 * (double)(time_t)(step / 1000.0)) * 1e6)};
    nanosleep(&pause, NULL);
  }
  say(line, snprintf(line, sizeof line, "E\t%lld\t%s\t%d\t%ld\t%016llx\n", now_ns(), id, code, written, (unsigned long long)hash));
  _exit(code);
}
