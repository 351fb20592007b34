package import PumiceModel

/// What mount.nfs(8) is told beside the share: ours, then the operator's, of which the last counts (nfs(5)).
///
/// Mounts are `hard`, which is the kernel's default and not taken back here: a call waits for its server for as long as it
/// takes. A `soft` one would tell a guest that its disk has failed, or lose what it has written, whenever a server is away for
/// some minutes. The agent's own calls don't wait like that; see `ShareCalls`. Who names `soft` all the same, gets it.
///
/// So does who names `nolock`, by which two machines can have one image open: the lock that QEMU takes then ends at its node.
package struct NFSMountOptions: Sendable, Hashable {
  /// What is tried when the operator names no version: the newest first, since only 4.2 can share and allocate blocks.
  static let ladder = ["4.2", "4.1", "3"]

  private let words: [String]

  /// Throws `invalid`, with the field `mount_options`, for what would not be one argument, or would make something else than
  /// a mount that can be written to, now, at the place it was asked for.
  package init(_ text: String? = nil) throws(StorageError) {
    let text = text ?? ""
    guard text.unicodeScalars.allSatisfy({ (0x21...0x7e).contains($0.value) && !"\"\\".unicodeScalars.contains($0) })
    else {
      throw .invalid(
        "mount_options", "must be printable ASCII without spaces, quotes and backslashes, such as \"nconnect=4\".")
    }
    words = text.split(separator: ",").map(String.init)
    let refused = ["bg", "ro", "remount", "bind", "rbind", "move", "noauto", "user", "users", "loop"]
    if let word = words.first(where: { refused.contains($0) }) {
      throw .invalid("mount_options", "must not have \"\(word)\".")
    }
  }

  /// One entry per attempt; `nil`: the operator has named the version.
  var versions: [String?] {
    let isNamed = words.contains { word in
      ["vers=", "nfsvers=", "minorversion="].contains { word.hasPrefix($0) } || word.hasPrefix("v4") || word == "v3"
    }
    return isNamed ? [nil] : Self.ladder.map(Optional.some)
  }

  /// For `mount -o`. Foreign files can't be programs or devices here. `retry=0`: mount.nfs would go on for two minutes.
  func argument(version: String?) -> String {
    ((version.map { ["vers=\($0)"] } ?? []) + ["retry=0", "nosuid", "nodev", "noexec"] + words).joined(separator: ",")
  }
}
