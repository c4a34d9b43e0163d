// spawn_loop COUNT PROGRAM ARG…: the floor of any supervisor: posix_spawn in a loop, then reaps
// for ever.
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc < 3) return 64;
    for (int n = atoi(argv[1]); n > 0; n--) {
        pid_t child;
        if (posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ) != 0) {
            perror(argv[2]);
            return 1;
        }
    }
    for (;;)
        if (wait(NULL) < 0) pause();
}
