#pragma once
// fallocate(2), which Glibc's module leaves out since it is no POSIX. posix_fallocate(3) won't do: where a file system can't
// allocate, such as NFS before 4.2, it writes to every block instead. It can go when the module has it.
#include <sys/types.h>

extern int fallocate(int file, int mode, off_t offset, off_t length);
