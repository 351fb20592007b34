import Foundation
import Hummingbird
import Logging
import NIOCore

/// What listings are compared with: a Hummingbird route that answers with the same bytes every time.
enum ConstantRoute {
  static func serve(port: Int, file: String) async throws {
    let body = ByteBuffer(bytes: try Data(contentsOf: URL(fileURLWithPath: file)))
    let router = Router()
    router.get("constant") { _, _ in
      Response(status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: body))
    }
    let logger = Logger(label: "constant") { _ in SwiftLogNoOpLogHandler() }
    let application = Application(
      router: router, configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: port)),
      logger: logger)
    try await application.runService()
  }
}
