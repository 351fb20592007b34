#pragma once
// NFS in user space (libnfs): shares without a mount and without root, by the library that QEMU uses for its disks on NFS.
// libnfs.h 4.0 uses `struct timeval` without including what defines it.
#include <sys/time.h>
#include <nfsc/libnfs.h>
