import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import PumiceModel
import PumiceWire

/// Where agents report: `POST /nodes/v1/reports`, with the join token. Errors are `ErrorBody`, as between all our daemons.
struct ReportRoutes {
  /// A report names every instance of a node; some thousands of them fit.
  static let bodyLimit = 8 << 20

  let api: CoordinatorAPI

  func add(to router: Router<APIContext>) {
    let api = api
    router.post("nodes/v1/reports") { request, context -> Response in
      do throws(StorageError) {
        try await Self.takeIn(request, api)
        return .noContent
      } catch {
        context.logger.warning("A report was refused", metadata: ["error": "\(error)"])
        let body = (try? WireJSON.encode(ErrorBody(error))) ?? []
        return Response(
          status: HTTPResponse.Status(code: error.code.httpStatus), headers: [.contentType: "application/json"],
          body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
      }
    }
  }

  private static func takeIn(_ request: Request, _ api: CoordinatorAPI) async throws(StorageError) {
    guard BearerToken(api.joinToken).isShown(in: request.headers[.authorization]) else {
      throw StorageError(.unauthenticated, "A report needs the fleet's join token.")
    }
    do {
      let body = try await request.body.collect(upTo: bodyLimit)
      let report = try WireJSON.decode(NodeReport.self, from: body.readableBytesView)
      try check(report)
      let (policy, surroundings) = (api.policy, api.surroundings)
      try await api.store.write { try $0.observe(report, policy: policy, at: surroundings.now()) }
    } catch is NIOTooManyBytesError {
      throw .invalid("body", "is larger than \(ByteCount(Int64(bodyLimit))).")
    } catch {
      throw StorageError.wrap(error, "Taking in a report")
    }
  }

  /// Names become parts of `node@backend#pool`.
  private static func check(_ report: NodeReport) throws(StorageError) {
    try checkName(report.name, "name")
    try checkName(report.availabilityZone, "availabilityZone")
    guard report.address.hasPrefix("http://") || report.address.hasPrefix("https://"), report.address.utf8.count <= 512
    else {
      throw .invalid("address", "must be the URL of the agent.")
    }
    for (index, pool) in report.pools.enumerated() {
      try checkName(pool.backend, "pools[\(index)].backend")
      try checkName(pool.pool, "pools[\(index)].pool")
    }
  }

  private static func checkName(_ name: String, _ field: String) throws(StorageError) {
    let isPlain = name.unicodeScalars.allSatisfy {
      !$0.isControl && !$0.properties.isWhitespace && $0 != "@" && $0 != "#"
    }
    guard !name.isEmpty, name.utf8.count <= 255, isPlain else {
      throw .invalid(field, "must have 1 to 255 characters, without '@', '#' and white space.")
    }
  }
}
