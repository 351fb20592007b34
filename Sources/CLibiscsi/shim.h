#pragma once
// The target portal's protocol in user space (libiscsi): what QEMU logs in with, so that a probe sees what QEMU will see.
// iscsi.h must come first; scsi-lowlevel.h has no includes of its own.
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
