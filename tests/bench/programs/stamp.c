// A service whose first act is to say when: appends the monotonic clock in nanoseconds and its pid
// to the file named by STAMP, then waits for ever. Built as `brief` it ends at once with exit code
// 1, as `stubborn` it ignores TERM.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
#ifdef STUBBORN
    signal(SIGTERM, SIG_IGN);
#endif
    char line[64];
    int length = snprintf(line, sizeof line, "%lld %d\n",
                          now.tv_sec * 1000000000LL + now.tv_nsec, getpid());
    int file = open(getenv("STAMP"), O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (file < 0 || write(file, line, length) != length) return 1;
    close(file);
#ifdef BRIEF
    return 1;
#endif
    for (;;) pause();
}
