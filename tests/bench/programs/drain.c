// drain LINES: reads to the end, looks at every line, and says once, when LINES of them came or at
// the end: nanoseconds of the first and of the last byte, whole lines, torn ones, and those out of
// their writer's order. A line of `flood` is whole wherever it stands in a longer one, as a prefix
// or as JSON; what has nothing of it is somebody else's.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 15, FILL = 83, WRITERS = 100 };

static long long whole, torn, disorder, next[WRITERS], first;
static char filler[FILL + 1];

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void look(const char *line, const char *end) {
    const char *at = memchr(line, '@', end - line);
    if (!at) {
        torn += memmem(line, end - line, "xx", 2) || memchr(line, '$', end - line);
        return;
    }
    if (end - at < HEAD + FILL + 1 || memcmp(at + HEAD, filler, FILL) || at[HEAD + FILL] != '$' ||
        memchr(at + 1, '@', end - at - 1) || memmem(line, at - line, "xx", 2) ||
        memmem(at + HEAD + FILL + 1, end - at - HEAD - FILL - 1, "xx", 2)) {
        torn++;
        return;
    }
    int writer = (at[1] - '0') * 10 + at[2] - '0';
    long long number = 0;
    for (int digit = 4; digit < HEAD - 1; digit++) number = number * 10 + at[digit] - '0';
    whole++;
    if (writer < 0 || writer >= WRITERS) return;
    disorder += number != next[writer];
    next[writer] = number + 1;
}

static void say(void) {
    printf("%lld %lld %lld %lld %lld\n", first, now_ns(), whole, torn, disorder);
    fflush(stdout);
}

int main(int argc, char **argv) {
    static char block[1 << 20];
    size_t kept = 0;
    int said = 0;
    long long want = argc > 1 ? atoll(argv[1]) : -1;
    memset(filler, 'x', FILL);
    for (ssize_t count; (count = read(0, block + kept, sizeof block - kept)) > 0;) {
        if (!first) first = now_ns();
        char *line = block, *end = block + kept + count, *stop;
        for (; (stop = memchr(line, '\n', end - line)); line = stop + 1) look(line, stop);
        kept = end - line;
        memmove(block, line, kept);
        if (kept == sizeof block) kept = 0, torn++;
        if (!said && whole + torn == want) said = 1, say();
    }
    if (!said) say();
    return 0;
}
