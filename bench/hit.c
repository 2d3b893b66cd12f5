// A job that leaves its own evidence: one appended line when it starts, another when it ends if it was asked to stay a while.
// usage: hit FILE NAME [STAY_MS]      lines: S|E name start_ns scheduled_at   (scheduled_at: BELFRY_SCHEDULED_AT, or -)
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int leave(int file, char kind, const char *name) {
  const char *due = getenv("BELFRY_SCHEDULED_AT");
  struct timespec now;
  char line[512];
  clock_gettime(CLOCK_REALTIME, &now);
  int length = snprintf(line, sizeof line, "%c %s %lld%09ld %s\n", kind, name, (long long)now.tv_sec, now.tv_nsec, due && *due ? due : "-");
  return write(file, line, length) == length ? 0 : 9;
}

int main(int count, char **words) {
  if (count < 3) return 2;
  int file = open(words[1], O_WRONLY | O_APPEND | O_CREAT, 0644);
  if (file < 0 || leave(file, 'S', words[2])) return 9;
  int stay_ms = count > 3 ? atoi(words[3]) : 0;
  if (stay_ms <= 0) return 0;
  struct timespec stay = {stay_ms / 1000, (stay_ms % 1000) * 1000000L};
  nanosleep(&stay, 0);
  return leave(file, 'E', words[2]);
}
