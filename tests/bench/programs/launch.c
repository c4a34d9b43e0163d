// launch PROGRAM ARG…: appends the monotonic clock to the file named by STAMP, then execs.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int file = open(getenv("STAMP"), O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (argc < 2 || file < 0) return 64;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    dprintf(file, "%lld start\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    close(file);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
