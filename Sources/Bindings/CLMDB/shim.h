// The C library as Debian ships it (liblmdb-dev); its safe Swift face is the target LMDB.
#include <lmdb.h>
