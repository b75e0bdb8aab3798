//! SNS and Lambda: the event as the body of a message, or as what a function is called with.
//!
//! Comes in: a delivery. Goes out: a call as this program's own identity, to an ARN that the
//! operator allowed. It must never wait for what the function does.

use assay_aws::SdkConfig;
use assay_model::notice::{ChannelKind, Delivery, Subscription};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_sns::types::MessageAttributeValue;

use super::{Failure, message};

/// Characters of a subject of SNS, at most, and its kind: plain ones of one line.
const SUBJECT_MAX: usize = 100;

/// Clients of both services.
pub(super) struct Clients {
    sns: aws_sdk_sns::Client,
    lambda: aws_sdk_lambda::Client,
}

impl Clients {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            sns: aws_sdk_sns::Client::new(config),
            lambda: aws_sdk_lambda::Client::new(config),
        }
    }

    pub(super) async fn carry(
        &self,
        to: &Subscription,
        delivery: &Delivery,
    ) -> Result<(), Failure> {
        match to.channel {
            ChannelKind::Sns => self.publish(&to.target, delivery).await,
            _ => self.invoke(&to.target, delivery).await,
        }
    }

    async fn publish(&self, topic: &str, delivery: &Delivery) -> Result<(), Failure> {
        let id = delivery.id.simple().to_string();
        let attribute = |value: &str| {
            let made = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build();
            made.map_err(|error| Failure::passing(format!("no attribute can be made: {error}")))
        };
        let mut call = self
            .sns
            .publish()
            .topic_arn(topic)
            .subject(subject(message(delivery)))
            .message(delivery.event.to_string())
            .message_attributes("id", attribute(&id)?)
            .message_attributes("type", attribute(delivery.kind.as_str())?);
        // Such a topic drops a repeat by itself.
        if topic.ends_with(".fifo") {
            let group = delivery.subscription.simple().to_string();
            call = call.message_group_id(group).message_deduplication_id(id);
        }
        let sent = call.send().await;
        sent.map(drop).map_err(|error| {
            let trouble = assay_aws::trouble(&error);
            Failure::passing(format!("the topic {topic}: {trouble}"))
        })
    }

    async fn invoke(&self, function: &str, delivery: &Delivery) -> Result<(), Failure> {
        let call = self
            .lambda
            .invoke()
            .function_name(function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(delivery.event.to_string()));
        let sent = call.send().await;
        sent.map(drop).map_err(|error| {
            let trouble = assay_aws::trouble(&error);
            Failure::passing(format!("the function {function}: {trouble}"))
        })
    }
}

fn subject(text: &str) -> String {
    let plain = text.chars().filter(|c| (' '..='~').contains(c));
    let subject: String = plain.take(SUBJECT_MAX).collect();
    match subject.trim() {
        "" => "Assay".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_subject_is_one_that_sns_takes() {
        assert_eq!(super::subject("a\nb\u{e9}"), "ab");
        assert_eq!(super::subject("\u{1F600}"), "Assay");
        assert_eq!(super::subject(&"x".repeat(300)).len(), 100);
    }
}
