// drain: reads its input to the end and prints how many bytes and lines came.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    static char block[1 << 20];
    long long bytes = 0, lines = 0;
    for (ssize_t count; (count = read(0, block, sizeof block)) > 0; bytes += count)
        for (char *at = block; (at = memchr(at, '\n', block + count - at)); at++) lines++;
    printf("%lld %lld\n", bytes, lines);
    return 0;
}
