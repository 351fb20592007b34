import Foundation
public import TestBed

/// A machine of the lab.
public actor LabNode {
  public nonisolated let name: String
  public nonisolated let address: String
  /// The files that are its disks.
  public nonisolated let disks: [String]
  /// The bed that it is a part of.
  public nonisolated let bed: Bed
  private let command: [String]
  private let environment: [String: String]
  private let shell: NodeShell
  private var process: LocalProcess?

  init(_ name: String, address: String, disks sizes: [Int], memory: Int, in lab: Lab) throws {
    self.name = name
    self.address = address
    bed = lab.bed
    disks = sizes.indices.map { lab.bed.folder.file("lab/\(name).disk\($0 + 1)") }
    for (disk, size) in zip(disks, sizes) {
      guard FileManager.default.createFile(atPath: disk, contents: nil), truncate(disk, size << 20) == 0 else {
        throw TestBedFailure("\(disk) can't be made: \(String(cString: strerror(errno)))")
      }
    }
    command =
      ["\(Lab.scripts)/boot-node.sh", "\(lab.networkProcess)", lab.bed.folder.file("lab"), name, address] + disks
    environment = [
      "PUMICE_LAB": lab.image, "PUMICE_LAB_MEMORY": "\(memory)",
      "PUMICE_LAB_SHARES": try lab.shares.joined(separator: ":"),
      "PUMICE_LAB_LIBRARIES": try Lab.libraries,
    ]
    shell = NodeShell(node: name, address: address, network: lab.network)
  }

  public var isRunning: Bool { process?.isRunning ?? false }
  private nonisolated var log: String { "\(name)-console" }
  /// The end of what its kernel and its init said, from all of its boots.
  public nonisolated var consoleTail: String { LocalProcess.tail(of: bed.folder.file("\(log).log")) }

  /// Boots it and returns when it runs commands. After a power cut its root file system and its disks are as they were left.
  /// Does nothing when it runs.
  public func start(within deadline: Duration = .seconds(90)) async throws {
    if isRunning { return }
    let process = try bed.start(command, name: log, environment: environment)
    self.process = process
    do {
      try await eventually("\(name) is up", within: deadline, every: .milliseconds(50)) {
        guard process.isRunning else { return true }
        return try await shell.run("true", within: .seconds(10)).status == 0
      }
      guard process.isRunning else { throw TestBedFailure("It ended with status \(process.exitStatus ?? -1).") }
    } catch {
      throw TestBedFailure("\(name) does not boot: \(error)\nIts console:\n\(consoleTail)")
    }
  }

  /// Cuts the power: everything in it is gone at once, and so is what it had not written to its disks. Returns when it is off.
  public func powerCut() async throws {
    guard let process, process.isRunning else { return }
    let children = try String(contentsOfFile: "/proc/\(process.id)/task/\(process.id)/children", encoding: .utf8)
    // The child is process 1 of the node's PID namespace; the process itself ends only after it, and thus after all.
    let victims = children.split(separator: " ").compactMap { pid_t($0) }
    if victims.isEmpty { process.signal(SIGKILL) }
    for victim in victims { kill(victim, SIGKILL) }
    try await process.wait(within: .seconds(20))
  }

  /// Writes everything to the disks and switches it off; running programs are ended without being asked.
  public func powerOff() async throws {
    guard let process, process.isRunning else { return }
    try await run("sync; (sleep 0.1; busybox poweroff -f) >/dev/null 2>&1 &")
    try await process.wait(within: .seconds(20))
  }

  /// Runs a bash script in it, beside all others, and returns what it said on both outputs. Throws when it fails or does not
  /// end in time; it may then still run.
  @discardableResult
  public func run(_ script: String, within deadline: Duration = .seconds(60)) async throws -> String {
    let answer = try await answer(to: script, within: deadline)
    guard answer.status == 0 else {
      throw TestBedFailure("In \(name), `\(script)` ended with status \(answer.status): \(answer.output)")
    }
    return answer.output
  }

  /// Runs a bash script in it and returns how it ended and what it said.
  public func answer(
    to script: String, within deadline: Duration = .seconds(60)
  ) async throws -> (status: Int, output: String) {
    guard let process, process.isRunning else { throw TestBedFailure("\(name) is off.") }
    do { return try await shell.run(script, within: deadline) } catch {
      throw TestBedFailure("\(error)\(process.isRunning ? "" : "\n\(name) is off. Its console:\n\(consoleTail)")")
    }
  }

  /// Drops all that the node sends to an address, as if the cable were cut between the two. Commands still reach it.
  public func cutOff(from address: String) async throws { try await run("ip route replace blackhole \(address)") }

  /// Undoes `cutOff(from:)`.
  public func reconnect(to address: String) async throws { try await run("ip route delete blackhole \(address)") }

  /// What a person would look at first when something went wrong in it.
  public func report() async -> String {
    let kernel = try? await run("dmesg | tail -n 25", within: .seconds(10))
    return "-- \(name)'s console:\n\(consoleTail)\n-- \(name)'s kernel:\n\(kernel ?? "(does not answer)")"
  }
}
