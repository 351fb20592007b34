/// Kernel and initramfs of the guest, as `make-guest.sh` leaves them in the cache.
public struct GuestImage: Sendable {
  public let kernel: String
  public let initramfs: String

  /// Makes them when they are not there: half a minute, once.
  public static func prepare(in bed: Bed) async throws -> GuestImage {
    let output = try await bed.run(["\(Bed.scripts)/make-guest.sh"], within: .seconds(600))
    guard let folder = output.split(separator: "\n").last else {
      throw TestBedFailure("make-guest.sh named no folder.")
    }
    return GuestImage(kernel: "\(folder)/vmlinuz", initramfs: "\(folder)/initramfs.cpio")
  }

  /// The same files for those who find this machine's below another root.
  public func found(below root: String) -> GuestImage {
    GuestImage(kernel: root + kernel, initramfs: root + initramfs)
  }
}
