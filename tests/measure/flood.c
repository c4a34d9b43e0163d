// flood BYTES: that many bytes in lines of 100, in writes of 64,000; then says so in the file named
// by STAMP and waits for ever.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char block[64000];
    if (argc < 2) return 64;
    memset(block, 'x', sizeof block);
    for (size_t at = 99; at < sizeof block; at += 100) block[at] = '\n';
    for (long long left = atoll(argv[1]); left > 0;) {
        size_t want = left < (long long)sizeof block ? (size_t)left : sizeof block;
        for (size_t done = 0; done < want;) {
            ssize_t count = write(1, block + done, want - done);
            if (count <= 0) return 1;
            done += count;
        }
        left -= want;
    }
    int file = open(getenv("STAMP"), O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (file < 0 || write(file, "done\n", 5) != 5) return 1;
    for (;;) pause();
}
