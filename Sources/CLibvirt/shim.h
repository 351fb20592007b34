#pragma once
#include <libvirt/libvirt.h>
// The passage to QEMU's monitor, a library of its own.
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
