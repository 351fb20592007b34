import Foundation
public import TestBed

/// Stock Debian machines with device-mapper, LIO, open-iscsi and NFS in their kernel, on a network of their own.
///
/// A lab belongs to a bed and ends with it. This machine is at 192.168.77.1 there, the nodes at .11 and on. It takes root;
/// making the lab's kernel and file system takes a minute, once.
public struct Lab: Sendable {
  public let bed: Bed
  public let network: Network
  let image: String
  let networkProcess: pid_t

  static let scripts = (#filePath as NSString).deletingLastPathComponent + "/../Lab/Scripts"
  /// Where the node's commands come from: not where this machine's programs are, so that a node can be cut off from them.
  static let controlAddress = "192.168.77.254"

  public init(in bed: Bed) async throws {
    guard geteuid() == 0 else { throw TestBedFailure("The lab takes root.") }
    guard access("/dev/net/tun", R_OK | W_OK) == 0 else { throw TestBedFailure("The lab takes /dev/net/tun.") }
    self.bed = bed
    let output = try await bed.run(["\(Self.scripts)/make-lab.sh"], within: .seconds(600))
    guard let image = output.split(separator: "\n").last else { throw TestBedFailure("make-lab.sh named no folder.") }
    self.image = String(image)
    try bed.folder.folder("lab")

    let process = try bed.start(["unshare", "--net", "\(Self.scripts)/open-network.sh"], name: "network")
    networkProcess = process.id
    try await eventually("the lab's network is open") {
      guard process.isRunning else { return true }
      return process.logTail.contains("is open")
    }
    guard process.isRunning else { throw TestBedFailure("The lab has no network: \(process.logTail)") }
    network = Network(address: "192.168.77.1", of: process.id)
  }

  /// Lends a lab in a bed of its own, and ends both however the work ends.
  public static func with<Result>(_ work: (Lab) async throws -> Result) async throws -> Result {
    try await Bed.with { bed in try await work(try await Lab(in: bed)) }
  }

  /// Prepares a node. Nothing runs before its `start()`.
  ///
  /// - Parameter number: The last part of its address, 11 to 99, one of its own.
  /// - Parameter disks: How large its empty disks are, in mebibytes; they are /dev/ubdb, /dev/ubdc and so on.
  public func node(_ name: String, number: Int, disks: [Int] = [], memory: Int = 512) throws -> LabNode {
    try LabNode(name, address: "192.168.77.\(number)", disks: disks, memory: memory, in: self)
  }

  /// A URL by which a client outside of the lab reaches an HTTP service within. Ends with the bed.
  public func url(ofServiceAt address: String) async throws -> String {
    // A colon in a path would tell socat something.
    let name = "relay-\(address.replacing(":", with: "-"))"
    let socket = bed.folder.file("\(name).sock")
    if access(socket, F_OK) != 0 {
      _ = try bed.start(
        network.entering(["socat", "-t", "600", "UNIX-LISTEN:\(socket),fork,backlog=64", "TCP:\(address)"]),
        name: name)
      try await eventually("the way to \(address) is open") { access(socket, F_OK) == 0 }
    }
    guard let host = socket.addingPercentEncoding(withAllowedCharacters: .alphanumerics) else {
      throw TestBedFailure("\(socket) is no host name.")
    }
    return "http+unix://\(host)"
  }

  /// The serial number that a unit shows (INQUIRY, page 0x80), by a login of its own.
  public func unitSerial(at url: String, as initiator: String) async throws -> String {
    let output = try await bed.run(
      network.entering(["iscsi-inq", "-e", "1", "-c", "128", "-i", initiator, url]))
    return output.split(separator: "[").last.map { String($0.prefix { $0 != "]" }) } ?? ""
  }

  /// The folders that nodes find at the same path as this machine: the project, the running program's, and the bed's.
  var shares: [String] {
    get throws {
      let project = URL(fileURLWithPath: Self.scripts).appendingPathComponent("../../..").standardized.path
      let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") as NSString
      let program = own.deletingLastPathComponent
      return (program.hasPrefix(project + "/") ? [project] : [project, program]) + [bed.folder.path]
    }
  }

  /// Where Swift's libraries are that this program is linked with.
  static var libraries: String {
    get throws {
      let file = FileHandle(forReadingAtPath: "/proc/self/maps")
      let maps = String(decoding: try file?.readToEnd() ?? Data(), as: UTF8.self)
      guard let line = maps.split(separator: "\n").first(where: { $0.hasSuffix("/libswiftCore.so") }),
        let start = line.firstIndex(of: "/")
      else { throw TestBedFailure("This program is not linked with libswiftCore.so.") }
      return (String(line[start...]) as NSString).deletingLastPathComponent
    }
  }
}
