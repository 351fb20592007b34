import PumiceModel
import Testing

@testable import PumiceAgent

struct ShareRemedyTests {
  @Test(arguments: [
    (MountError.versionNotSupported, "rpcinfo -p nas"), (.accessDenied, "showmount -e nas"),
    (.notThere, "showmount -e nas"), (.notAFolder, "Export the folder"), (.unknownHost, "/etc/hosts"),
    (.nameServiceAway, "/etc/resolv.conf"), (.refused, "port 2049"), (.unreachable, "firewall"), (.late, "firewall"),
    (.busy, "findmnt"), (.stale, "exportfs -ra"), (.wrongOption, "nfs(5)"), (.noHelper, "apt-get install nfs-common"),
    (.noKernelModule, "modprobe -a nfs nfsv4"), (.noLockDaemon, "rpc-statd"), (.notAllowed, "as root"),
  ])
  func everyEndOfMountHasItsRemedy(_ cause: MountError, _ words: String) throws {
    let error = StorageError(cause.storageCode, "Mounting nas:/a failed: \(cause.sentence).", cause: cause)
    #expect(try remedy().reaching(error).contains(words))
  }

  @Test func allEndsOfMountAreThere() throws {
    let remedies = try MountError.allCases.map { try remedy().reaching($0) }
    #expect(remedies.allSatisfy { !$0.isEmpty })
  }

  @Test func aVersionThatWasAskedForIsTakenBack() throws {
    #expect(try remedy(options: "vers=4.2").reaching(.versionNotSupported).hasPrefix("Take the version out of options"))
    #expect(try remedy().reaching(.versionNotSupported).hasPrefix("Have the server speak NFS 4.2, 4.1 or 3"))
  }

  @Test func aMachineThatSaysNothingIsLookedForOnTheWay() throws {
    let error = StorageError(.timeout, "Mounting nas:/a as user 0 failed: no answer within 5 s.")
    let silent = try remedy(isMounted: false).reaching(error, ports: (.silent, .silent))
    #expect(silent.hasPrefix("Nothing comes back from its ports 111 and 2049"))
    #expect(try remedy(isMounted: false).reaching(error).contains("port 2049"))
  }

  @Test func whatIsWrittenFails() throws {
    for (status, words) in [
      (NFSStatus.readOnly, "with rw"), (.accessDenied, "anonuid"), (.noSpace, "Make room"), (.overQuota, "quota"),
      (.stale, "exportfs -ra"),
    ] {
      #expect(try remedy().writing(StorageError(status.storageCode, "", cause: status)).contains(words))
    }
    let denied = StorageError(.forbidden, "", cause: NFSStatus.accessDenied)
    #expect(try remedy(isMounted: false).writing(denied).contains("Set user and group of backend nfs"))
    #expect(try remedy().writing(StorageError(.unsupported, "")).contains("provisioning"))
    #expect(try remedy().reaching(StorageError(.conflict, "tmpfs is mounted there.")).contains("findmnt"))
  }

  @Test func optionsThatCostDataAreNamed() throws {
    let warnings = try remedy(options: "soft,nconnect=4,nolock,proto=udp,vers=3").warnings
    #expect(
      warnings.map(\.remedy)
        == ["soft", "nolock", "proto=udp"].map { "Take \($0) out of its options." })
    #expect(warnings[0].detail.contains("lose what they have written"))
    #expect(warnings[1].detail.contains("two machines can write to one disk"))
    // Nothing is run from disks, and these only make it slower or safer.
    for harmless in [nil, "noexec,nosuid,nodev", "noac", "sync", "hard", "nconnect=16", "rsize=65536"] {
      #expect(try remedy(options: harmless).warnings.isEmpty)
    }
    #expect(try remedy(isMounted: false, options: "soft").warnings.isEmpty, "nothing is mounted")
  }

  private func remedy(isMounted: Bool = true, options: String? = nil) throws -> ShareRemedy {
    ShareRemedy(
      share: try NFSShare("nas:/a"),
      backend: NFSBackendConfiguration(name: "nfs", shares: [.init("nas:/a", options: options)]), isMounted: isMounted,
      options: options)
  }
}
