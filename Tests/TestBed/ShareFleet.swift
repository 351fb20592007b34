/// A fleet whose volumes are files of a share, which the guest's QEMU opens by itself.
public struct ShareFleet: Sendable {
  public let fleet: LoopbackFleet
  public let server: GaneshaDaemon
  /// The folder that is served.
  public let folder: String

  /// Prepares everything; nothing runs yet.
  public init(in bed: Bed) async throws {
    folder = try bed.folder.folder("export")
    server = try GaneshaDaemon(in: bed, exports: [.init(path: folder)])
    fleet = try await LoopbackFleet(
      in: bed,
      backends: """
        - name: filer
          kind: nfs
          access: libnfs
          shares: ["\(server.address):\(folder)"]
        """)
  }

  public func start() async throws {
    try await server.start()
    try await fleet.start()
  }
}
