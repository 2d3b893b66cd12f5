// A job that prints: flood MEGABYTES_PER_SECOND SECONDS. Lines of 100 bytes, in pieces of 1/100 second.
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
  if (count < 3) return 2;
  long piece = atol(words[1]) * 10000, pieces = atol(words[2]) * 100;
  char *text = malloc(piece);
  memset(text, 'x', piece);
  for (long at = 99; at < piece; at += 100) text[at] = '\n';
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (long i = 0; i < pieces; i++) {
    for (long done = 0, wrote; done < piece; done += wrote)
      if ((wrote = write(1, text + done, piece - done)) <= 0) return 9;
    next.tv_nsec += 10000000L;
    if (next.tv_nsec >= 1000000000L) next.tv_sec++, next.tv_nsec -= 1000000000L;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, 0);
  }
  return 0;
}
