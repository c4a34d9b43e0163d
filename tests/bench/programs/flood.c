// flood ID LINES AT_ONCE [PER_SECOND]: that many numbered lines of 100 bytes, so many in a write,
// at full speed or at that pace; then stamps the file named by STAMP and waits for ever. ID has two
// digits. A line is `@ID:NUMBER:xxx…$`, so that `drain` knows a whole one.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, DIGITS = 10, NUMBER = 4 };

static void count_up(char *digits) {
    for (int at = DIGITS - 1; at >= 0; at--) {
        if (++digits[at] <= '9') return;
        digits[at] = '0';
    }
}

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void wait_until(long long when) {
    long long left = when - now_ns();
    struct timespec nap = {left / 1000000000, left % 1000000000};
    if (left > 0) nanosleep(&nap, NULL);
}

int main(int argc, char **argv) {
    if (argc < 4) return 64;
    long long lines = atoll(argv[2]), at_once = atoll(argv[3]);
    long long per_second = argc > 4 ? atoll(argv[4]) : 0;
    char *block = malloc(at_once * LINE), number[DIGITS + 1] = "0000000000";
    for (long long at = 0; at < at_once; at++) {
        char *line = block + at * LINE;
        memset(line, 'x', LINE);
        memcpy(line, "@00:0000000000:", 15);
        memcpy(line + 1, argv[1], 2);
        memcpy(line + LINE - 2, "$\n", 2);
    }
    long long began = now_ns();
    for (long long sent = 0; sent < lines;) {
        long long count = lines - sent < at_once ? lines - sent : at_once;
        if (per_second) wait_until(began + sent * 1000000000LL / per_second);
        for (long long at = 0; at < count; at++) {
            memcpy(block + at * LINE + NUMBER, number, DIGITS);
            count_up(number);
        }
        for (long long done = 0, more; done < count * LINE; done += more)
            if ((more = write(1, block + done, count * LINE - done)) <= 0) return 1;
        sent += count;
    }
    char line[64];
    int length = snprintf(line, sizeof line, "%lld done\n", now_ns());
    int file = open(getenv("STAMP"), O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (file < 0 || write(file, line, length) != length) return 1;
    for (;;) pause();
}
