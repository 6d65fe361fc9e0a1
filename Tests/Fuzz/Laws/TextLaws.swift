// Texts: the settings file, foreign logs, and the small forms of identifiers, digests and dates.

import Evaluation
import Interactions
import Ports
import RecordDecoding
import Settings

extension FuzzTarget {
    static let settings = FuzzTarget(
        "settings",
        seeds: [
            SettingsFile.defaults, "", "kafka:\n  brokers: a:9092\n", "kafka: [1, {a: b}]\n",
            "redis:\n  password: {file: /nowhere}\nsocket: {path: ~}\n",
            "a: &x [1]\nb: *x\n? *x\n: 1\n", "engine:\n  history-max: 12\n  history-max: 13\n",
            "events:\n  - {name: view, weight: 1, seen: 3d}\n", "\"\\u0000\": !!int x\n",
            "--- a\n--- b\n",
        ].map { Array($0.utf8) }
    ) { bytes in
        do {
            let settings = try SettingsFile.parse(bytes, file: "file")
            let text = SettingsFile.text(of: settings)
            do {
                let again = try SettingsFile.parse(Array(text.utf8), file: "text")
                try require(again == settings, "written, they read otherwise:\n\(text)")
            } catch let error as SettingsError {
                throw BrokenLaw("written, they are refused: \(error)\n\(text)")
            }
        } catch let error as SettingsError {
            try require(!error.problems.isEmpty, "refused without a reason")
        }
    }

    /// The first byte chooses the format, and whether the lines are events or items.
    static let imports = FuzzTarget(
        "imports",
        seeds: zip(
            Array(UInt8(0)...11) + [8, 9, 8],
            [
                "1::2::5::978300760\n", "1::Toy Story (1995)::Animation|Comedy\n",
                "userId,movieId,rating,timestamp\n1,2,4.0,1112486027\n",
                "movieId,title,genres\n1,\"Toy, \"\"Story\"\"\n(1995)\",Animation|Comedy\n",
                "1::0000001::.5::1363245118\n", "0000001::Title::Drama\n",
                #"{"reviewerID":"A","asin":"B","overall":5.0,"unixReviewTime":1112486027}"#,
                #"{"asin":"B","title":"T","categories":[["a","b"]],"price":"$1.50"}"#,
                "user,item,ts,value\nu,i,2023-01-31T12:00:00.5+01:00,05\n",
                "id,title,brand,price\ni,T,b,1e2\n",
                #"{"user":"u\u+123","item":"i\ud83d\ude00","ts":1690000000000,"value":01}"#,
                #"{"id":"i","title":"T","price":-0}"#,
                // Times after 5138 were written and could not be read back; numbers as people write them neither.
                "user,item,ts\nu,i,8532-12-31T12:00:00Z\n", "",
                "user,item,ts,value\nu,i,100000000000,.5\n",
            ]
        ).map { [$0] + Array($1.utf8) }
    ) { bytes in
        var input = FuzzInput(bytes)
        let choice = Int(input.byte())
        let format = ImportFormat.allCases[choice / 2 % ImportFormat.allCases.count]
        let kind = choice % 2 == 0 ? LineImporter.Kind.events : .items
        var importer = LineImporter(kind, shape: kind == .events ? format.events : format.items)
        for line in input.remainder().split(separator: 10, omittingEmptySubsequences: false) {
            try requireReadable(importer.take(line: Array(line)))
        }
        _ = importer.finish()
    }

    static let texts = FuzzTarget(
        "texts",
        seeds: [
            "12-34", "18446744073709551615-0", "2023-01-31T12:00:00.123456789+01:00",
            "2016-12-31T23:59:60Z", String(repeating: "0123456789abcdef", count: 2),
            "1690000000000", "user",
        ].map { Array($0.utf8) }
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        if let id = FeedID(text) { try require(FeedID(id.description) == id, "\(id)") }
        if let digest = StateDigest(text) {
            try require(StateDigest(digest.description) == digest, "\(digest)")
        }
        if let user = UserID(text) {
            try require(UserID(user.text) == user && user.text.utf8.count <= 256, "\(user)")
        }
        for partitioner in Partitioner.allCases {
            for count in [1, 7, Int32.max] {
                let partition = partitioner.partition(of: bytes.span, count: count)
                try require((0..<count).contains(partition), "partition \(partition) of \(count)")
            }
        }
        // The strict reader and the importer's agree where both read.
        let imported = Milliseconds.imported(text)
        if let strict = milliseconds(rfc3339: text.utf8.span), let imported {
            try require(strict == imported, "\(text) is \(strict) and \(imported)")
        }
    }
}

/// What the importer writes, the daemon and the evaluation read: alike.
private func requireReadable(_ line: ImportedLine) throws {
    switch line {
    case .nothing, .bad: return
    case .event(let time, let item, let json):
        let bytes = Array(json.utf8)
        var types = ["view"]
        do {
            let event = try LoggedEvent(parsing: bytes)
            try require(event.item == item && event.time == time, "\(json) is read as \(event)")
            if event.type.utf8.count <= Identifier.bytesMax, event.type != "view" {
                types.append(event.type)
            }
        } catch let error as LogLineError {
            throw BrokenLaw("\(json) is not read by the evaluation: \(error)")
        }
        var decoder = InteractionDecoder(
            types: EventTypes(types.map { EventType(name: $0, weight: 1, seen: .always) }))
        let outcome = decoder.decode(
            key: [UInt8]?.none, payload: bytes, recordTime: nil, now: DecodingLimits.timeMax)
        if case .rejected(let rejection) = outcome {
            // Times before 1980 and types too long are for whoever imports to mend.
            try require(
                [.invalidTime, .unknownType, .fieldTooLong].contains(rejection.reason),
                "\(json) is not read by the daemon: \(rejection)")
        }
    case .item(let id, let json):
        let bytes = Array(json.utf8)
        do {
            let item = try LoggedItem(parsing: bytes)
            try require(item.record.id == id, "\(json) is read as \(item)")
        } catch let error as LogLineError {
            throw BrokenLaw("\(json) is not read by the evaluation: \(error)")
        }
        var decoder = ItemDecoder()
        if case .rejected(let rejection) = decoder.decode(key: [UInt8]?.none, payload: bytes) {
            try require(
                rejection.reason == .fieldTooLong, "\(json) is not read by the daemon: \(rejection)"
            )
        }
    }
}
