import Glibc
import PumiceModel

/// Who has a block device open. QEMU opens disks without claiming them, so that only its open files give it away.
enum DeviceUsers {
  struct Process: Sendable, Hashable, CustomStringConvertible {
    let id: pid_t
    let name: String

    var description: String { "\(name) (process \(id))" }
  }

  /// Those who look at every device for a moment, or for as long as its multipath map stands, and let go by themselves.
  private static let bystanders: Set<String> = ["multipathd", "udevd", "systemd-udevd", "(udev-worker)"]

  /// Other processes that have one of these devices open, in whichever mount namespace. Blocking; see proc(5).
  ///
  /// - Parameter numbers: `major:minor` of each.
  static func processes(using numbers: Set<String>) -> [Process] {
    var found: [Process] = []
    for name in folderNames("/proc") {
      guard let id = pid_t(name), id != getpid() else { continue }
      let opens = folderNames("/proc/\(name)/fd").contains { descriptor in
        var status = stat()
        guard stat("/proc/\(name)/fd/\(descriptor)", &status) == 0, status.st_mode & S_IFMT == S_IFBLK else {
          return false
        }
        return numbers.contains(deviceNumber(status.st_rdev))
      }
      guard opens else { continue }
      let command = Sysfs("/proc").text("\(name)/comm") ?? "?"
      if !bystanders.contains(command) { found.append(Process(id: id, name: command)) }
    }
    return found
  }
}

/// `major:minor`, as sysfs writes it.
func deviceNumber(_ number: dev_t) -> String {
  // See gnu_dev_major(3), which is a macro in C.
  let major = (number >> 8) & 0xfff | (number >> 32) & ~0xfff
  let minor = number & 0xff | (number >> 12) & ~0xff
  return "\(major):\(minor & 0xffff_ffff)"
}
