import Glibc
import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

struct BlockDeviceTests {
  @Test func numbersAreThoseOfSysfs() {
    #expect(deviceNumber(0x0810) == "8:16")
    #expect(deviceNumber(0x10300) == "259:0")
    #expect(deviceNumber(makedev(major: 253, minor: 1_048_575)) == "253:1048575")
    #expect(deviceNumber(makedev(major: 4095, minor: 256)) == "4095:256")
  }

  @Test func whatIsNotThereIsNotFound() {
    let device = BlockDevice(path: "/dev/pumice-nothing")
    #expect(device.number == nil)
    expectNotFound { _ = try device.unitSerial() }
    expectNotFound { try device.flush() }
    expectNotFound { _ = try device.isClaimed() }
    expectNotFound { _ = try device.size() }
  }

  private func expectNotFound(_ call: () throws -> Void) {
    let error = #expect(throws: StorageError.self) { try call() }
    #expect(error?.code == .notFound)
  }

  @Test func aLoopDeviceIsClaimedAndUsedByWhoeverHasIt() async throws {
    try await Bed.with { bed in
      let file = bed.folder.file("disk")
      try await bed.run(["truncate", "-s", "8M", file])
      let path = try await bed.run(["losetup", "--find", "--show", file]).split(separator: "\n").joined()
      do {
        let device = BlockDevice(path: path)
        let number = try #require(device.number)
        #expect(try device.size() == .mebibytes(8))
        try device.flush()
        #expect(try !device.isClaimed())
        #expect(DeviceUsers.processes(using: [number]).isEmpty)

        let reader = try bed.start(["sh", "-c", "exec sleep 600 <\(path)"], name: "reader")
        try await TestBed.eventually("the device is open") {
          DeviceUsers.processes(using: [number]).map(\.id) == [reader.id]
        }
        // Open is not claimed: QEMU does no more.
        #expect(try !device.isClaimed())
        try await reader.end(grace: .zero)

        let claim = open(path, O_RDONLY | O_EXCL | O_CLOEXEC)
        #expect(claim >= 0)
        #expect(try device.isClaimed())
        close(claim)
        // No SCSI disk has no serial page.
        #expect(throws: StorageError.self) { try device.unitSerial() }
        try await bed.run(["losetup", "--detach", path])
      } catch {
        _ = try? await bed.run(["losetup", "--detach", path])
        throw error
      }
    }
  }

  /// gnu_dev_makedev(3), which is a macro in C.
  private func makedev(major: UInt64, minor: UInt64) -> dev_t {
    let majorBits: UInt64 = (major & 0xfff) << 8 | (major & ~0xfff) << 32
    let minorBits: UInt64 = (minor & 0xff) | (minor & ~0xff) << 12
    return dev_t(majorBits | minorBits)
  }
}
