// The C library as Debian ships it (libzstd-dev); its safe Swift face is the target Zstd.
#include <zstd.h>
