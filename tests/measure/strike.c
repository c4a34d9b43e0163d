// strike PID: kills the process and waits for the next line of the file named by STAMP; prints the
// microseconds from just before the kill to the new process's first act. Gives up after 10 s.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv) {
    int file = open(getenv("STAMP"), O_RDONLY);
    struct stat before, after;
    if (argc < 2 || file < 0 || fstat(file, &before) != 0) return 64;
    long long struck = now_ns();
    if (kill(atoi(argv[1]), SIGKILL) != 0) {
        perror("kill");
        return 1;
    }
    // One core is left to the others: the reader naps, because the stamp tells the time itself.
    struct timespec nap = {0, 200000};
    do {
        nanosleep(&nap, NULL);
        if (fstat(file, &after) != 0 || now_ns() - struck > 10000000000LL) return 2;
    } while (after.st_size == before.st_size);
    char line[64] = {0};
    if (pread(file, line, sizeof line - 1, before.st_size) < 1) return 3;
    printf("%lld\n", (atoll(line) - struck) / 1000);
    return 0;
}
