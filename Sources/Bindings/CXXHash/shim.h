// The C library as Debian ships it (libxxhash-dev); the target LMDB tells whole pages from torn ones with it.
#include <xxhash.h>
