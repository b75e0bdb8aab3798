//! Binary rows that are whole, cut anywhere, or broken.

use super::*;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, Int32Type};
use proptest::prelude::*;

fn decoder(types: &[DataType]) -> Decoder {
    let field = |data_type: &DataType| Field::new("c", data_type.clone(), true);
    let fields: Vec<Field> = types.iter().map(field).collect();
    Decoder::new(&Schema::new(fields)).unwrap()
}

fn header() -> Vec<u8> {
    [SIGNATURE, &[0; 8]].concat()
}

fn number(sign: u16, weight: i16, digits: &[i16]) -> Vec<u8> {
    let mut value = (digits.len() as i16).to_be_bytes().to_vec();
    value.extend(weight.to_be_bytes());
    value.extend(sign.to_be_bytes());
    value.extend(2i16.to_be_bytes());
    value.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
    value
}

#[test]
fn numbers_come_out_at_the_scale_of_their_column() {
    let mut odd = Odd::default();
    let mut unscaled = |value: Vec<u8>, scale| {
        let read = numeric(&value, &mut odd).unwrap()?;
        assert_eq!(read.narrow(scale).map(i256::from_i128), read.wide(scale));
        Some(read.narrow(scale).unwrap())
    };
    assert_eq!(unscaled(number(0, 0, &[1, 5000]), 2), Some(150));
    assert_eq!(unscaled(number(0x4000, 1, &[12, 3456]), 0), Some(-123_456));
    assert_eq!(unscaled(number(0, -1, &[5000]), 1), Some(5));
    assert_eq!(unscaled(number(0, 1, &[3]), -2), Some(300));
    assert_eq!(unscaled(number(0, 0, &[]), 4), Some(0));
    assert_eq!(unscaled(number(0xC000, 0, &[]), 4), None);
    assert_eq!(unscaled(number(0xD000, 0, &[]), 4), None);
    assert_eq!(
        odd,
        Odd {
            nan: 1,
            pos_inf: 1,
            ..Odd::default()
        }
    );
    let lossy = number(0, -1, &[5]);
    assert!(
        numeric(&lossy, &mut odd)
            .unwrap()
            .unwrap()
            .narrow(2)
            .is_err()
    );
}

#[test]
fn a_number_that_no_type_holds_is_set_apart_with_its_digits() {
    let mut bytes = header();
    let wide = |value: &[u8]| {
        let length = (value.len() as i32).to_be_bytes();
        [&1i16.to_be_bytes()[..], &length, value].concat()
    };
    bytes.extend(wide(&number(0, 20, &[1])));
    bytes.extend(wide(&number(0, 0, &[7])));
    bytes.extend(wide(&number(0x4000, -20, &[120])));
    bytes.extend(wide(&number(0, 1, &[12, 0, 5000])));
    bytes.extend((-1i16).to_be_bytes());
    let mut decoder = decoder(&[DataType::Decimal256(76, 0)]);
    decoder.add(&bytes, &mut |_| Ok::<(), String>(())).unwrap();
    let batch = decoder.finish().unwrap();
    assert_eq!(batch.column(0).null_count(), 3);
    assert_eq!((decoder.odd[0].wide, decoder.odd[0].count()), (3, 3));
    let texts: Vec<_> = decoder
        .wide
        .iter()
        .map(|(_, digits)| String::from_utf8(digits.clone()).unwrap())
        .collect();
    let small = format!("-0.{}012", "0".repeat(76));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(
        texts,
        [&format!("1{}", "0".repeat(80)), small.as_str(), "120000.5"]
    );
}

#[test]
fn a_row_without_an_end_is_given_up() {
    let mut decoder = decoder(&[DataType::Binary]);
    decoder.row_bytes = 1 << 20;
    let mut none = |_| Ok::<(), String>(());
    decoder.add(&header(), &mut none).unwrap();
    let endless = [&1i16.to_be_bytes()[..], &i32::MAX.to_be_bytes()].concat();
    decoder.add(&endless, &mut none).unwrap();
    let piece = vec![0; 64 << 10];
    let pieces = (0..100).take_while(|_| decoder.add(&piece, &mut none).is_ok());
    assert!(pieces.count() < 17);
}

#[test]
fn rows_come_out_however_their_bytes_are_cut() {
    let mut bytes = header();
    for value in [Some(7i32), None, Some(-1)] {
        bytes.extend(2i16.to_be_bytes());
        match value {
            None => bytes.extend((-1i32).to_be_bytes()),
            Some(value) => {
                bytes.extend(4i32.to_be_bytes());
                bytes.extend(value.to_be_bytes());
            }
        }
        let wide = number(0, 0, &[1]);
        bytes.extend((wide.len() as i32).to_be_bytes());
        bytes.extend(wide);
    }
    bytes.extend((-1i16).to_be_bytes());
    for size in [1, 3, 7, 1000] {
        let mut decoder = decoder(&[DataType::Int32, DataType::Decimal256(50, 40)]);
        for piece in bytes.chunks(size) {
            decoder
                .add(piece, &mut |_| Err("not full".to_owned()))
                .unwrap();
        }
        let batch = decoder.finish().unwrap();
        let ints: Vec<_> = batch.column(0).as_primitive::<Int32Type>().iter().collect();
        assert_eq!(ints, [Some(7), None, Some(-1)]);
        let wide = batch.column(1).as_primitive::<Decimal256Type>().value(0);
        assert_eq!(wide.to_string(), format!("1{}", "0".repeat(40)));
    }
    let mut cut = decoder(&[DataType::Int32]);
    cut.add(&header(), &mut |_| Ok::<(), String>(())).unwrap();
    assert!(cut.finish().is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut decoder = decoder(&[DataType::Decimal128(10, 2), DataType::Utf8, DataType::FixedSizeBinary(16)]);
        let all = [header(), vec![0, 3], bytes].concat();
        if decoder.add(&all, &mut |_| Ok::<(), String>(())).is_ok() {
            let _ = decoder.finish().map(|batch| batch.column(0).as_primitive::<Decimal128Type>().len());
        }
    }
}
