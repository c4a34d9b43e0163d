// orphans COUNT: makes that many orphans that live for 2 ms each, fifty of a parent that ends
// before them. Stamps the file named by STAMP when it begins and after the last, then waits for
// ever.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIBLINGS = 50 };

static void stamp(const char *what) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int file = open(getenv("STAMP"), O_WRONLY | O_APPEND | O_CREAT, 0666);
    dprintf(file, "%lld %s\n", now.tv_sec * 1000000000LL + now.tv_nsec, what);
    close(file);
}

int main(int argc, char **argv) {
    struct timespec life = {0, 2000000};
    stamp("begun");
    for (int left = argc > 1 ? atoi(argv[1]) : 0; left > 0; left -= SIBLINGS) {
        pid_t parent = fork();
        if (parent == 0) {
            for (int n = 0; n < SIBLINGS && n < left; n++)
                if (fork() == 0) {
                    nanosleep(&life, NULL);
                    _exit(0);
                }
            _exit(0);
        }
        if (parent < 0 || waitpid(parent, NULL, 0) < 0) break;
    }
    stamp("last");
    for (;;) pause();
}
