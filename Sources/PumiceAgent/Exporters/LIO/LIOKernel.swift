import Glibc
import PumiceModel

/// The kernel's part of LIO: its modules, and configfs where they are set up.
struct LIOKernel: Sendable {
  static let modules = ["configfs", "target_core_mod", "target_core_iblock", "target_core_file", "iscsi_target_mod"]

  private let commands: CommandRunner

  init(commands: CommandRunner = CommandRunner(deadline: .seconds(30))) { self.commands = commands }

  /// When it returns, targets can be made. Loads modules and mounts configfs if need be; quick when that was done.
  ///
  /// Throws `missingPart` when the kernel has no LIO, `forbidden` without root.
  func prepare() async throws(StorageError) {
    if Self.isReady { return }
    let problem = await load()
    do throws(StorageError) {
      try await BlockingCalls.run { () throws(StorageError) in
        try Self.mountConfigfs()
        try KernelConfigfs().perform(.make("iscsi", isShared: true))
      }
    } catch {
      // Nothing can be mounted or made without the modules, so why they are not there is the better reason.
      throw problem ?? error
    }
  }

  static var isReady: Bool { access("\(KernelConfigfs.mountPoint)/target/iscsi", F_OK) == 0 }

  /// Of `modules`, those that this kernel does not run now. One that is built in without parameters counts as one too.
  static var unloadedModules: [String] { modules.filter { access("/sys/module/\($0)", F_OK) != 0 } }

  /// Returns why not, if not: where they are built into the kernel, or come with the host of a container, no harm is done.
  private func load() async -> StorageError? {
    let missing = Self.unloadedModules
    guard !missing.isEmpty else { return nil }
    do throws(StorageError) {
      let outcome = try await commands.run("modprobe", ["-a"] + missing)
      guard !outcome.succeeded else { return nil }
      return StorageError(
        .missingPart,
        "Loading the kernel's modules for LIO (\(missing.joined(separator: ", "))) failed: \(outcome.standardError.lastLine)"
      )
    } catch {
      return error
    }
  }

  /// See mount(2). Content when it is mounted.
  private static func mountConfigfs() throws(StorageError) {
    guard access("\(KernelConfigfs.mountPoint)/target", F_OK) != 0 else { return }
    let point = KernelConfigfs.mountPoint
    guard !isMounted(point) else {
      throw StorageError(.missingPart, "The kernel has no LIO: \(point)/target does not exist.")
    }
    guard mount("configfs", point, "configfs", 0, nil) == 0 || errno == EBUSY else {
      throw StorageError(
        errno == EPERM ? .forbidden : .missingPart,
        "Mounting configfs on \(point) failed: \(String(cString: strerror(errno))).")
    }
    guard access("\(point)/target", F_OK) == 0 else {
      throw StorageError(.missingPart, "The kernel has no LIO: \(point)/target does not exist.")
    }
  }

  /// Whether configfs is mounted there: proc_mounts(5).
  static func isMounted(_ path: String) -> Bool {
    guard let mounts = try? String(contentsOfFile: "/proc/self/mounts") else { return false }
    return mounts.split(separator: "\n").contains { line in
      let fields = line.split(separator: " ")
      return fields.count > 2 && fields[1] == path && fields[2] == "configfs"
    }
  }
}

extension String {
  fileprivate var lastLine: Substring { split(separator: "\n").last ?? "it gave no reason." }
}
