/* Gives back what it reads, byte for byte: the floor under every worker. */
#include <unistd.h>

int main(void) {
    static char bytes[65536];
    for (;;) {
        ssize_t have = read(0, bytes, sizeof bytes);
        if (have <= 0) return have < 0;
        for (ssize_t sent = 0; sent < have;) {
            ssize_t went = write(1, bytes + sent, (size_t)(have - sent));
            if (went < 0) return 1;
            sent += went;
        }
    }
}
