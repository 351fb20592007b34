import CLibvirt
import Glibc
import PumiceModel

/// Looks whether libvirt is there, without events and without staying connected.
enum LibvirtProbe {
  static func version(at uri: String) async throws(StorageError) -> String {
    try await BlockingCalls.run { () throws(StorageError) in
      virSetErrorFunc(nil) { _, _ in }
      guard let connection = virConnectOpen(uri) else {
        throw LibvirtError().storageError("Connecting to libvirt at \(uri)")
      }
      defer { virConnectClose(connection) }
      var library: UInt = 0
      var hypervisor: UInt = 0
      virConnectGetLibVersion(connection, &library)
      guard virConnectGetVersion(connection, &hypervisor) == 0 else {
        throw LibvirtError().storageError("Asking libvirt at \(uri) for its version")
      }
      let type = virConnectGetType(connection).map { String(cString: $0) } ?? "hypervisor"
      return "libvirt \(words(library)) with \(type) \(words(hypervisor)) at \(uri)."
    }
  }

  /// One of QEMU's drivers that Debian packages by themselves.
  static func module(_ name: String) -> String? {
    var matches = glob_t()
    defer { globfree(&matches) }
    for pattern in ["/usr/lib/*/qemu/\(name).so", "/usr/lib*/qemu*/\(name).so"] {
      if glob(pattern, 0, nil, &matches) == 0, let path = matches.gl_pathv?[0] { return String(cString: path) }
    }
    return nil
  }

  private static func words(_ version: UInt) -> String {
    "\(version / 1_000_000).\(version / 1000 % 1000).\(version % 1000)"
  }
}
