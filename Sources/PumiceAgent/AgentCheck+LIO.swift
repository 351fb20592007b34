import Glibc
import PumiceModel

/// The kernel's target, as it is: nothing is loaded or mounted.
extension AgentCheck {
  func lioLines() -> [Line] { [rootLine(), modulesLine(), configfsLine(), portalsLine()] }

  private func rootLine() -> Line {
    geteuid() == 0
      ? ok("LIO permission", "This user is root.")
      : missing("LIO permission", "LIO is set up by root only.", "Run the agent as root.")
  }

  private func modulesLine() -> Line {
    let unloaded = LIOKernel.unloadedModules
    if LIOKernel.isReady || unloaded.isEmpty { return ok("LIO modules", "The kernel runs LIO.") }
    let release = Self.kernelRelease()
    let available = Self.modules(of: release)
    let absent = unloaded.filter { !available.contains($0) }
    return absent.isEmpty
      ? ok("LIO modules", "The agent will load \(unloaded.joined(separator: ", ")).")
      : missing(
        "LIO modules", "The kernel \(release) has no \(absent.joined(separator: ", ")).",
        "Boot a kernel with LIO (Debian: linux-image-amd64), or set exporter.kind to tgt.")
  }

  private func configfsLine() -> Line {
    LIOKernel.isMounted(KernelConfigfs.mountPoint)
      ? ok("configfs", KernelConfigfs.mountPoint)
      : ok("configfs", "The agent will mount it on \(KernelConfigfs.mountPoint).")
  }

  /// LIO listens on addresses that the machine may only get later, so a missing one is not the end.
  private func portalsLine() -> Line {
    let addresses = Self.addresses()
    let absent = configuration.exporter.portals.filter { portal in
      guard let name = LIOPortal(portal)?.name, let colon = name.lastIndex(of: ":") else { return true }
      return !addresses.contains(name[..<colon].filter { $0 != "[" && $0 != "]" })
    }
    return absent.isEmpty
      ? ok("portals", configuration.exporter.portals.joined(separator: ", "))
      : missing(
        "portals", "\(absent.joined(separator: ", ")) is not an address of this machine now.",
        "Set exporter.portals to where initiators reach this node.", isRequired: false)
  }

  // MARK: The machine

  private static func kernelRelease() -> String {
    var names = utsname()
    guard uname(&names) == 0 else { return "" }
    return withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// See modules.dep(5): `kernel/drivers/target/target_core_mod.ko: …`, perhaps with the suffix of a compression.
  private static func modules(of release: String) -> Set<String> {
    let files = ["modules.dep", "modules.builtin"].compactMap {
      try? String(contentsOfFile: "/lib/modules/\(release)/\($0)")
    }
    let names = files.joined(separator: "\n").split(separator: "\n").compactMap { line in
      line.prefix { $0 != ":" }.split(separator: "/").last?.prefix { $0 != "." }
    }
    return Set(names.map { name in String(name.map { $0 == "-" ? "_" : $0 }) })
  }

  /// See getifaddrs(3).
  private static func addresses() -> Set<String> {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var addresses: Set<String> = []
    var next = list
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let address = entry.pointee.ifa_addr else { continue }
      let isIPv6 = Int32(address.pointee.sa_family) == AF_INET6
      guard isIPv6 || Int32(address.pointee.sa_family) == AF_INET else { continue }
      var host = [CChar](repeating: 0, count: 256)
      let length = socklen_t(isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
      guard getnameinfo(address, length, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) == 0 else { continue }
      addresses.insert(String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    return addresses
  }
}
