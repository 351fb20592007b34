import PumiceModel
import Testing

@testable import PumiceAgent

struct LVMErrorTests {
  /// What lvm2 2.03.16 says.
  @Test(
    arguments: [
      (5, "  Volume group \"vgk\" has insufficient free space (5990 extents): 67108864 required.", .noSpace),
      (5, "  Volume too large (1.00 EiB) for extent size 4.00 MiB. Upper limit is less than <16.00 PiB.", .noSpace),
      (5, "  Cannot create new thin volume, free space in thin pool vg/pool reached threshold.", .noSpace),
      (5, "  VG vg metadata too large for circular buffer\n  Failed to write VG vg.", .noSpace),
      (5, "  Logical Volume \"v1\" already exists in volume group \"vgk\"", .conflict),
      (5, "  Failed to find logical volume \"vgk/none\"", .notFound),
      (5, "  Volume group \"vgnone\" not found\n  Cannot process volume group vgnone", .notFound),
      (5, "  Logical volume vgk/v1 in use.", .inUse),
      (5, "  Logical volume vg/v contains a filesystem in use.", .inUse),
      (5, "  Snapshot origin volumes can be resized only while inactive: try lvchange -an.", .inUse),
      (5, "  Can't get lock for vg0\n  Cannot process volume group vg0", .unavailable),
      (5, "  Cannot change VG vg0 while PVs are missing.\n  See vgreduce --removemissing", .unavailable),
      (
        5,
        "  /dev/mapper/control: open failed: No such device\n  Failure to communicate with kernel device-mapper driver.",
        .missingPart
      ),
      (5, "  thin-pool: Required device-mapper target(s) not detected in your kernel.", .missingPart),
      (5, "  Thin pool vg-pool-tpool (254:2) transaction_id is 4, while expected 5.", .failed),
      (5, "  Internal error: Failed to lookup path", .failed),
      (3, "lvcreate: unrecognized option '--bogus'", .unsupported),
      (5, "", .failed),
    ] as [(Int32, String, StorageError.Code)])
  func messagesMeanCodes(_ exitCode: Int32, _ message: String, _ code: StorageError.Code) {
    let error = StorageError.lvm("Making it", exitCode: exitCode, message: message)
    #expect(error.code == code, "\(error)")
    #expect(error.message.hasPrefix("Making it failed: "))
    #expect(error.message.hasSuffix("."), "\(error)")
  }

  @Test func deathsAreWorthARepeat() {
    let error = StorageError.lvm("Making it", exitCode: nil, message: "")
    #expect(error.code == .unavailable && error.isTransient)
  }

  @Test func warningsAreNotReasons() {
    let message = "  WARNING: Sum of all thin volume sizes exceeds.\n  Logical volume vg/v in use.\n"
    let error = StorageError.lvm("Removing vg/v", exitCode: 5, message: message)
    #expect(error.message == "Removing vg/v failed: Logical volume vg/v in use.")
  }
}
