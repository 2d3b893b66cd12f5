// What a machine can start at most from one loop: posix_spawn and waitpid, nothing else, with up to 64 children alive.
// usage: starts COUNT PROGRAM [ARGUMENT …]      prints starts per second
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define ALIVE_MAX 64

int main(int count, char **words) {
  if (count < 3) return 2;
  int wanted = atoi(words[1]), alive = 0;
  char *environment[] = {"PATH=/usr/bin:/bin", "BELFRY_SCHEDULED_AT=2026-01-01T00:00:00Z", 0};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < wanted; i++) {
    pid_t pid;
    if (posix_spawn(&pid, words[2], &files, 0, words + 2, environment) != 0) return 9;
    for (alive++; alive > ALIVE_MAX && waitpid(-1, 0, 0) > 0; alive--);
    for (; alive > 0 && waitpid(-1, 0, WNOHANG) > 0; alive--);
  }
  for (; alive > 0 && waitpid(-1, 0, 0) > 0; alive--);
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%f\n", wanted / ((to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9));
  return 0;
}
