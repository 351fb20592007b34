import PumiceModel
import Testing

@testable import PumiceAgent

struct MountErrorTests {
  /// As mount.nfs of nfs-utils 2.6.2 and mount of util-linux 2.38 said them.
  @Test(arguments: [
    ("mount.nfs: Protocol not supported\n", MountError.versionNotSupported, StorageError.Code.unsupported),
    (
      "mount.nfs: requested NFS version or transport protocol is not supported\n", .versionNotSupported,
      .unsupported
    ),
    (
      "mount.nfs: mounting 10.77.0.2:/srv/none failed, reason given by server: No such file or directory\n",
      .notThere, .notFound
    ),
    ("mount.nfs: access denied by server while mounting 10.77.0.2:/srv/a\n", .accessDenied, .forbidden),
    ("mount.nfs: Failed to resolve server nas: Name or service not known\n", .unknownHost, .notFound),
    ("mount.nfs: Resource temporarily unavailable\n", .nameServiceAway, .unavailable),
    ("mount.nfs: Connection refused\n", .refused, .unavailable),
    ("mount.nfs: No route to host\n", .unreachable, .unavailable),
    ("mount.nfs: Network is unreachable\n", .unreachable, .unavailable),
    ("mount.nfs: Connection timed out\n", .late, .unavailable),
    ("mount.nfs: an incorrect mount option was specified\n", .wrongOption, .invalid),
    ("mount.nfs: /mnt/x is busy or already mounted\n", .busy, .unavailable),
    ("umount.nfs4: /mnt/x: device is busy\numount: /mnt/x: target is busy.\n", .busy, .unavailable),
    ("umount.nfs4: /mnt/x: device is busy\n", .busy, .unavailable),
    ("mount.nfs: Stale file handle\n", .stale, .unavailable),
    (
      "mount: /mnt/x: bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> "
        + "helper program.\n", .noHelper, .missingPart
    ),
    ("mount: /mnt/x: unknown filesystem type 'nfs'.\n", .noKernelModule, .missingPart),
    (
      "mount.nfs: rpc.statd is not running but is required for remote locking.\nmount.nfs: Either use '-o nolock' "
        + "to keep locks local, or start statd.\n", .noLockDaemon, .missingPart
    ),
    ("mount.nfs: Operation not permitted\n", .notAllowed, .missingPart),
  ])
  func wordsOfMountAreUnderstood(_ text: String, _ kind: MountError, _ code: StorageError.Code) {
    let outcome = CommandRunner.Outcome(exitCode: 32, standardOutput: "", standardError: text)
    let error = MountError.error("Mounting nas:/a at /mnt/x", outcome)
    #expect(error.cause as? MountError == kind)
    #expect(error.code == code)
    #expect(error.message.hasPrefix("Mounting nas:/a at /mnt/x failed: ") && error.message.hasSuffix("."))
  }

  @Test func otherWordsArePassedOn() {
    let outcome = CommandRunner.Outcome(
      exitCode: 32, standardOutput: "", standardError: "mount.nfs: something\nunheard of\n")
    let error = MountError.error("Mounting", outcome)
    #expect(error.code == .failed)
    #expect(error.message.contains("exit status 32") && error.message.contains("something; unheard of"))
  }
}
