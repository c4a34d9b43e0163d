// copy PROGRAM ARG…: runs it and copies what it writes, by read and write of 64 KiB: what any copy
// through memory costs.
#include <spawn.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    static char block[64 << 10];
    int ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (argc < 2 || pipe(ends) != 0) return 64;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    if (posix_spawn(&child, argv[1], &actions, NULL, argv + 1, environ) != 0) return 1;
    close(ends[1]);
    for (ssize_t count; (count = read(ends[0], block, sizeof block)) > 0;)
        for (ssize_t done = 0, more; done < count; done += more)
            if ((more = write(1, block + done, count - done)) <= 0) return 1;
    for (;;) pause();
}
