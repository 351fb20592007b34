package import PumiceModel

/// The mounts that a process sees, as /proc/self/mountinfo lists them (proc_pid_mountinfo(5)).
package struct MountTable: Sendable, Equatable {
  package struct Entry: Sendable, Equatable {
    package let id: Int
    package let parent: Int
    package let mountPoint: String
    package let fileSystem: String
    package let source: String
    /// Those of this mount, then those of the file system under it.
    package let options: [String]
  }

  /// In the kernel's order.
  package let entries: [Entry]

  package static let path = "/proc/self/mountinfo"

  /// What is mounted now. Reading it asks no server anything, so that a dead one can't hold it.
  package static func current() throws(StorageError) -> MountTable {
    do throws(StorageError) {
      return MountTable(try String(contentsOfFile: path))
    } catch {
      throw StorageError(error.code, "Reading the mounts from \(path) failed: \(error.message)")
    }
  }

  /// Lines that the kernel would not write are left out: what they mean is not believed to be mounted.
  package init(_ text: String) {
    entries = text.utf8.split(separator: UInt8(ascii: "\n")).compactMap { Entry($0) }
  }

  /// What one finds when one goes to this path, if a mount begins there; of several on top of each other the uppermost.
  package func mount(at path: String) -> Entry? {
    let there = entries.filter { $0.mountPoint == path }
    // The lower one is the parent of the upper one.
    let covered = Set(there.map(\.parent))
    return there.last { !covered.contains($0.id) } ?? there.last
  }

  /// Whether a share can be used at its mount point.
  package func standing(of share: NFSShare, at mountPoint: String) -> NFSMountStanding {
    guard let entry = mount(at: mountPoint) else { return .absent }
    guard let mount = NFSMount(entry, of: share) else {
      return .occupied("\(mountPoint) is taken by \(entry.source) (\(entry.fileSystem)).")
    }
    return .mounted(mount)
  }
}

package enum NFSMountStanding: Sendable, Equatable {
  case absent
  case mounted(NFSMount)
  /// Something else is mounted there; a sentence says what.
  case occupied(String)
}

/// A share as the kernel has mounted it (nfs(5)).
package struct NFSMount: Sendable, Equatable {
  /// `3`, `4.0`, `4.1`, `4.2` …; what the two sides agreed on.
  package let version: String
  package let isReadOnly: Bool
  package let options: [String]

  /// `nil` when the entry is not this share over NFS.
  fileprivate init?(_ entry: MountTable.Entry, of share: NFSShare) {
    guard ["nfs", "nfs4"].contains(entry.fileSystem), let mounted = try? NFSShare(entry.source),
      (mounted.host, mounted.path) == (share.host, share.path),
      let version = entry.options.last(where: { $0.hasPrefix("vers=") })?.dropFirst("vers=".utf8.count)
    else { return nil }
    self.version = String(version)
    isReadOnly = entry.options.contains("ro")
    options = entry.options
  }
}

extension MountTable.Entry {
  /// `36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/root rw,errors=continue`, where there may be any number
  /// of words before the hyphen.
  fileprivate init?(_ line: Substring.UTF8View.SubSequence) {
    let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard words.count >= 9, let hyphen = words[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }),
      words.count == hyphen + 4,
      let id = Int(Substring(words[0])), let parent = Int(Substring(words[1])),
      let mountPoint = Self.unescaped(words[4]), mountPoint.hasPrefix("/"),
      let fileSystem = Self.unescaped(words[hyphen + 1]), let source = Self.unescaped(words[hyphen + 2])
    else { return nil }
    self.id = id
    self.parent = parent
    self.mountPoint = mountPoint
    self.fileSystem = fileSystem
    self.source = source
    options = [words[5], words[hyphen + 3]].flatMap { $0.split(separator: UInt8(ascii: ",")) }
      .compactMap(Self.unescaped)
  }

  /// Space, tab, newline, backslash and `#` stand there as a backslash and three octal digits.
  private static func unescaped(_ word: Substring.UTF8View) -> String? {
    var bytes: [UInt8] = []
    var rest = word[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(3).map { Int($0) - 0x30 }
      guard digits.count == 3, digits.allSatisfy({ 0...7 ~= $0 }), digits[0] <= 3 else { return nil }
      bytes.append(UInt8(digits[0] << 6 | digits[1] << 3 | digits[2]))
      rest = rest.dropFirst(3)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
