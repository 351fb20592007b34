import HTTPTypes
import Hummingbird
import Logging
import PumiceModel
import PumiceWire

extension HTTPField.Name {
  /// Under which name the coordinator knows the request that a call belongs to.
  static let requestID = Self("X-Openstack-Request-Id") ?? .from
}

/// The outermost layer: gives every request an id, every error a body, and the log a line.
struct RequestGate: RouterMiddleware {
  func handle(
    _ request: Request, context: BasicRequestContext,
    next: @concurrent (Request, BasicRequestContext) async throws -> Response
  ) async throws -> Response {
    var context = context
    let id = Self.acceptable(request.headers[.requestID]) ?? "req-\(Identifier<Node>.random())"
    context.logger[metadataKey: "request.id"] = "\(id)"
    var response: Response
    do {
      response = try await next(request, context)
    } catch {
      response = Self.response(to: error, context.logger)
    }
    response.headers[.requestID] = id
    let isRoutine = request.method == .get && response.status.code < 500
    context.logger.log(
      level: isRoutine ? .debug : .info, "request served",
      metadata: [
        "http.method": "\(request.method)", "http.path": "\(request.uri.path)",
        "http.status": "\(response.status.code)",
      ])
    return response
  }

  /// A caller's id is taken over only in a form that can do no harm in a log or header.
  private static func acceptable(_ id: String?) -> String? {
    guard let id, 1...64 ~= id.utf8.count, id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
    else { return nil }
    return id
  }

  private static func response(to error: any Error, _ logger: Logger) -> Response {
    switch error {
    case let error as StorageError:
      logger.info("request refused", metadata: ["error.code": "\(error.code)", "error": "\(error)"])
      return .json(ErrorBody(error), status: .init(code: error.code.httpStatus))
    case let error as any HTTPResponseError:
      let code = StorageError.Code(httpStatus: error.status.code)
      let message = (error as? HTTPError)?.body ?? error.status.reasonPhrase
      return .json(ErrorBody(StorageError(code, message)), status: error.status)
    case is CancellationError:
      return .json(ErrorBody(StorageError(.unavailable, "The agent is stopping.")), status: .serviceUnavailable)
    default:
      logger.error("request failed in an unforeseen way", metadata: ["error": "\(error)"])
      let answer = StorageError(.failed, "The agent could not do this; its log says why.")
      return .json(ErrorBody(answer), status: .internalServerError)
    }
  }
}

/// Lets nobody in without the token.
struct TokenGate: RouterMiddleware {
  let token: BearerToken

  func handle(
    _ request: Request, context: BasicRequestContext,
    next: @concurrent (Request, BasicRequestContext) async throws -> Response
  ) async throws -> Response {
    guard token.isShown(in: request.headers[.authorization]) else {
      throw StorageError(.unauthenticated, "The agent's bearer token is missing or wrong.")
    }
    return try await next(request, context)
  }
}

extension Response {
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
    do throws(StorageError) {
      return Response(
        status: status, headers: [.contentType: "application/json"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: try WireJSON.encode(value))))
    } catch {
      return Response(status: .internalServerError)
    }
  }
}
