#pragma once
// SCSI commands to a block device (sg(4)): the layout of `sg_io_hdr`, which Glibc's module leaves out. It can go when that
// has it.
#include <scsi/sg.h>
