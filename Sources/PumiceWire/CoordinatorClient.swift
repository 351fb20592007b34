import NIOHTTP1
public import PumiceModel

/// The coordinator as an agent sees it, over HTTP.
public struct CoordinatorClient: ReportSink {
  private let transport: HTTPTransport
  private let peer: HTTPTransport.Peer

  /// - Parameter token: The join token, which makes this machine a node of the fleet.
  public init(at address: String, token: String, transport: HTTPTransport, deadline: Duration = .seconds(10)) {
    self.transport = transport
    peer = HTTPTransport.Peer(
      name: "the coordinator", address: address.withoutTrailingSlash, token: token, deadline: deadline)
  }

  public func send(_ report: NodeReport) async throws(StorageError) {
    try await transport.send(.POST, "/nodes/v1/reports", report, to: peer)
  }
}
