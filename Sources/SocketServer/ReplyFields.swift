// Fields of a reply's map: a word and a value, null where there is none.

import WireProtocol

extension ReplyWriter {
    mutating func field(_ name: String, _ text: String?) {
        bulk(name)
        if let text { bulk(text) } else { null() }
    }

    mutating func field(_ name: String, _ number: (some BinaryInteger)?) {
        bulk(name)
        if let number { integer(Int64(clamping: number)) } else { null() }
    }

    mutating func field(_ name: String, _ number: Double?) {
        bulk(name)
        if let number { double(number) } else { null() }
    }

    mutating func field(_ name: String, _ value: Bool) {
        bulk(name)
        boolean(value)
    }

    mutating func field(_ name: String, _ texts: [String]) {
        bulk(name)
        array(texts.count)
        for text in texts { bulk(text) }
    }
}
