import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import PumiceModel

/// The outermost layer: whatever happens within, the answer has the request's id, an error has OpenStack's form, and one
/// line is logged.
struct RequestGate: RouterMiddleware {
  func handle(
    _ request: Request, context: APIContext, next: @concurrent (Request, APIContext) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    var response: Response
    do {
      response = try await next(request, context)
    } catch {
      response = .failure(Self.apiError(error, logger: context.logger))
    }
    response.headers[.requestID] = context.requestID
    // What changes nothing, and what agents send every few seconds, would fill the log.
    let isRoutine =
      request.method == .get && response.status.code < 500
      || request.uri.path.hasPrefix("/nodes/") && response.status.code < 400
    context.logger.log(
      level: isRoutine ? .debug : .info, "Request served",
      metadata: Self.facts(request, response, context, duration: ContinuousClock.now - start))
    return response
  }

  /// Evaluated only when the line is logged. The query is left out: it may hold names.
  private static func facts(
    _ request: Request, _ response: Response, _ context: APIContext, duration: Duration
  ) -> Logger.Metadata {
    var facts: Logger.Metadata = [
      "http.method": "\(request.method.rawValue)", "http.path": "\(request.uri.path.prefix(512))",
      "http.status": "\(response.status.code)", "duration": "\(duration)",
    ]
    if let caller = context.identity.caller {
      facts["caller.project"] = "\(caller.project)"
      facts["caller.user"] = "\(caller.user)"
    }
    return facts
  }

  /// Any error as one that may be shown. What nobody foresaw is logged, and the caller gets no more than the request's id.
  static func apiError(_ error: any Error, logger: Logger) -> APIError {
    switch error {
    case let error as APIError: return error
    case let error as StorageError:
      if error.code == .failed { logger.error("Request failed", metadata: ["error": "\(error)"]) }
      return APIError(error)
    case is NIOTooManyBytesError: return .bodyTooLarge
    case is CancellationError: return APIError(StorageError(.unavailable, "The coordinator is stopping."))
    case let error as HTTPError:
      switch error.status {
      case .notFound: return .noSuchRoute
      case .contentTooLarge: return .bodyTooLarge
      default: return .invalid(error.body ?? error.status.reasonPhrase)
      }
    default:
      logger.error("Request failed in an unforeseen way", metadata: ["error": "\(error)"])
      return APIError(StorageError(.failed, "The coordinator could not do this; its log says why."))
    }
  }
}
