import Glibc
import PumiceModel

/// Whether this process can have shares mounted by the kernel.
enum KernelNFS {
  /// By a user who may, with the command for it, and a client in the kernel or in a module of it.
  static var isThere: Bool { geteuid() == 0 && command != nil && (isLoaded || isModule) }

  /// mount.nfs(8), which mount(8) looks for here.
  static var command: String? { ["/sbin/mount.nfs", "/usr/sbin/mount.nfs"].first { access($0, X_OK) == 0 } }

  /// filesystems(5)
  private static var isLoaded: Bool {
    let known = (try? String(contentsOfFile: "/proc/filesystems")) ?? ""
    return known.split(whereSeparator: \.isWhitespace).contains("nfs4")
  }

  /// modules.dep(5)
  private static var isModule: Bool {
    var name = utsname()
    guard uname(&name) == 0 else { return false }
    let release = withUnsafeBytes(of: name.release) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return ((try? String(contentsOfFile: "/lib/modules/\(release)/modules.dep")) ?? "").contains("/nfs.ko")
  }
}
