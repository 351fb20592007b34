import Glibc
import PumiceModel

/// mount(8) and umount(8), run where everybody sees what they do.
///
/// A service that systemd gives a view of its own of the file system gets the host's mounts, but the host does not get its.
/// QEMU is to find the images, so there the commands are run in the view of process 1 (mount_namespaces(7), nsenter(1)).
struct MountCommands: Sendable {
  private let commands: CommandRunner
  private let prefix: [String]

  init(deadline: Duration = .seconds(40)) {
    commands = CommandRunner(deadline: deadline)
    prefix = Self.prefix(own: Self.namespace("self"), host: Self.namespace("1"))
  }

  /// What goes before a command, for the mount namespaces of this process and of process 1; `nil` for one that can't be seen.
  static func prefix(own: String?, host: String?) -> [String] {
    host != nil && own != host ? ["nsenter", "--mount=/proc/1/ns/mnt", "--"] : []
  }

  func mount(
    _ share: NFSShare, at mountPoint: String, _ options: String
  ) async throws(StorageError) -> CommandRunner.Outcome {
    try await run(["mount", "-t", "nfs", "-o", options, share.description, mountPoint])
  }

  /// Never by force, and never for later (`-l`): whoever has a file open there keeps the mount.
  func unmount(_ mountPoint: String) async throws(StorageError) -> CommandRunner.Outcome {
    // A path that is looked at first would be one more question to a dead server.
    try await run(["umount", "--no-canonicalize", mountPoint])
  }

  private func run(_ words: [String]) async throws(StorageError) -> CommandRunner.Outcome {
    let command = prefix + words
    return try await commands.run(command[0], Array(command.dropFirst()))
  }

  private static func namespace(_ process: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 64)
    let count = readlink("/proc/\(process)/ns/mnt", &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
  }
}
