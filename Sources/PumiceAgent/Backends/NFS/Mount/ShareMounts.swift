import Glibc
import PumiceModel
import Synchronization

/// The shares that this node has mounted, or may mount, below one folder: the backends' and those of its instances alike, so
/// that each has one lock and one view of whether its server answers.
final class ShareMounts: Sendable {
  struct Places: Sendable {
    /// Mount points lie in it, each named after its share; see `NFSShare.mountPoint`.
    var base = "/var/lib/pumice/mnt"
    /// A file for each share that was mounted from here and not by somebody else. It goes with the mounts, at a reboot.
    var marks = "/run/pumice/mounts"
  }

  private struct State {
    var shares: [String: MountedShare] = [:]
    /// By mount point: those that backends have.
    var kept: Set<String> = []
  }

  let places: Places
  private let timing: MountedShare.Timing
  private let state = Mutex(State())

  init(_ places: Places = Places(), timing: MountedShare.Timing = MountedShare.Timing()) {
    self.places = places
    self.timing = timing
  }

  func share(_ share: NFSShare) -> MountedShare {
    let mountPoint = share.mountPoint(in: places.base)
    return state.withLock { state in
      if let known = state.shares[mountPoint] { return known }
      let new = MountedShare(share, places, timing)
      state.shares[mountPoint] = new
      return new
    }
  }

  /// Makes a share one that is unmounted for no attachment's end, for as long as the process lives.
  func keep(_ share: NFSShare) {
    _ = state.withLock { $0.kept.insert(share.mountPoint(in: places.base)) }
  }

  func isKept(_ share: NFSShare) -> Bool { state.withLock { $0.kept.contains(share.mountPoint(in: places.base)) } }

  /// The shares that were mounted from here since the last reboot, by this process or an earlier one, and not unmounted.
  func marked() -> [MountedShare] {
    folderNames(places.marks).compactMap { name in
      guard let text = try? String(contentsOfFile: "\(places.marks)/\(name)"), let share = try? NFSShare(text),
        share.mountPoint(in: places.base) == "\(places.base)/\(name)"
      else { return nil }
      return self.share(share)
    }
  }
}

extension ShareMounts.Places {
  /// Written before the share is mounted: a mark without a mount is nothing, a mount without a mark would stay for good.
  func mark(_ share: NFSShare) throws(StorageError) {
    try Self.makeFolder(marks)
    let path = mark(of: share)
    let file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw VolumeFolder.error("Making \(path)") }
    defer { close(file) }
    let bytes = Array(share.description.utf8)
    guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw VolumeFolder.error("Writing \(path)") }
  }

  func unmark(_ share: NFSShare) { unlink(mark(of: share)) }

  func isMarked(_ share: NFSShare) -> Bool { access(mark(of: share), F_OK) == 0 }

  /// With those above it. QEMU's user goes through them.
  static func makeFolder(_ path: String) throws(StorageError) {
    var prefix = ""
    for part in path.split(separator: "/") {
      prefix += "/\(part)"
      if mkdir(prefix, 0o755) == 0 {
        // The agent's umask would keep others out.
        guard chmod(prefix, 0o755) == 0 else { throw VolumeFolder.error("Opening \(prefix) for reading") }
      } else if errno != EEXIST {
        throw VolumeFolder.error("Making the folder \(prefix)")
      }
    }
  }

  private func mark(of share: NFSShare) -> String { share.mountPoint(in: marks) }
}
