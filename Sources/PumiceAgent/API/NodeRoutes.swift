import HTTPTypes
public import Hummingbird
import NIOCore
import PumiceModel
public import PumiceWire

/// The node API over HTTP: each route decodes, makes one call, and encodes.
///
///     GET    /v1/node  /v1/pools  /v1/inventory
///     PUT    /v1/volumes/{id}  /v1/exports/{attachment}  /v1/connections/{attachment}
///     DELETE likewise, with a body that carries the revision
///     PUT, DELETE  /v1/instances/{id}/quiescence
///     GET, PUT     /v1/log    of an agent that can be told
///     GET    /healthz    without a token
///
/// Long work that is not done yet answers 202.
public struct NodeRoutes: Sendable {
  static let bodyLimit = 1 << 20

  private let node: any NodeAPI
  private let token: BearerToken

  /// - Parameter token: What callers show as `Authorization: Bearer …`.
  public init(node: any NodeAPI, token: String) {
    self.node = node
    self.token = BearerToken(token)
  }

  public func router() -> Router<BasicRequestContext> {
    let router = Router(context: BasicRequestContext.self)
    router.add(middleware: RequestGate())
    router.get("/healthz") { _, _ in Response.json(["status": "ok"]) }
    let api = router.group("/v1").add(middleware: TokenGate(token: token))
    addReading(to: api)
    addVolumes(to: api.group("/volumes/{id}"))
    addSnapshots(to: api.group("/snapshots/{id}"))
    addExports(to: api.group("/exports/{id}"))
    addConnections(to: api.group("/connections/{id}"))
    addQuiescence(to: api.group("/instances/{id}/quiescence"))
    if let node = node as? any LoggingNodeAPI { addLog(of: node, to: api.group("/log")) }
    return router
  }

  private func addReading(to api: RouterGroup<BasicRequestContext>) {
    api.get("/node") { _, _ in Response.json(try await node.report()) }
    api.get("/pools") { _, _ in Response.json(["pools": try await node.report().pools]) }
    api.get("/inventory") { _, _ in Response.json(try await node.inventory()) }
  }

  private func addVolumes(to group: RouterGroup<BasicRequestContext>) {
    group.put { request, context in
      Self.response(try await node.ensureVolume(try context.identifier(), try await request.body()))
    }
    group.delete { request, context in
      Self.response(try await node.removeVolume(try context.identifier(), try await request.body()))
    }
    group.put("/revert") { request, context in
      Self.response(try await node.revertVolume(try context.identifier(), try await request.body()))
    }
  }

  private func addSnapshots(to group: RouterGroup<BasicRequestContext>) {
    group.put { request, context in
      Self.response(try await node.ensureSnapshot(try context.identifier(), try await request.body()))
    }
    group.delete { request, context in
      Self.response(try await node.removeSnapshot(try context.identifier(), try await request.body()))
    }
  }

  private func addExports(to group: RouterGroup<BasicRequestContext>) {
    group.put { request, context in
      Response.json(try await node.ensureExport(try context.identifier(), try await request.body()))
    }
    group.delete { request, context in
      try await node.removeExport(try context.identifier(), try await request.body())
      return Response(status: .noContent)
    }
  }

  private func addConnections(to group: RouterGroup<BasicRequestContext>) {
    group.put { request, context in
      Response.json(try await node.ensureConnection(try context.identifier(), try await request.body()))
    }
    group.delete { request, context in
      try await node.removeConnection(try context.identifier(), try await request.body())
      return Response(status: .noContent)
    }
  }

  private func addQuiescence(to group: RouterGroup<BasicRequestContext>) {
    group.put { request, context in
      Response.json(try await node.freezeInstance(try context.identifier(), try await request.body()))
    }
    group.delete { request, context in
      Response.json(try await node.thawInstance(try context.identifier(), try await request.body()))
    }
  }

  private func addLog(of node: any LoggingNodeAPI, to group: RouterGroup<BasicRequestContext>) {
    group.get { _, _ in Response.json(try await node.logSetting()) }
    group.put { request, _ in
      try await node.setLog(try await request.body())
      return Response(status: .noContent)
    }
  }

  private static func response(_ progress: Progress) -> Response {
    .json(progress, status: progress.isComplete ? .ok : .accepted)
  }
}

extension RequestContext {
  /// The id in the path.
  fileprivate func identifier<Kind>() throws(StorageError) -> Identifier<Kind> {
    guard let id = parameters.get("id").flatMap({ Identifier<Kind>(String($0)) }) else {
      throw .invalid("id", "must be a UUID.")
    }
    return id
  }
}

extension Request {
  fileprivate func body<Value: Decodable>() async throws -> Value {
    let bytes: ByteBuffer
    do {
      bytes = try await body.collect(upTo: NodeRoutes.bodyLimit)
    } catch let error as any HTTPResponseError {
      throw error
    } catch is NIOTooManyBytesError {
      throw HTTPError(.contentTooLarge)
    } catch {
      throw StorageError.invalid("body", "could not be read: it is malformed or ended early.")
    }
    return try WireJSON.decode(Value.self, from: bytes.readableBytesView)
  }
}
