#!/bin/sh -e
# The whole of a deploy with the AWS CLI alone: package, stack, page.
#
#     deploy.sh TEMPLATE STACK BUCKET KEY PAGE [PACKAGE]
#
# Without PACKAGE the one in the bucket is taken for granted. The page's configuration, which would
# want one call more, is left out.
template=$1 stack=$2 bucket=$3 key=$4 page=$5 package=$6
if [ -n "$package" ]; then
    aws s3 cp --only-show-errors "$package" "s3://$bucket/$key"
fi
# A request takes a template of so many bytes; a larger one has to go through a bucket.
large=
if [ "$(wc -c < "$template")" -gt 51200 ]; then large=$bucket; fi
aws cloudformation deploy --template-file "$template" --stack-name "$stack" \
    ${large:+--s3-bucket "$large"} \
    --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset \
    --parameter-overrides "CodeBucket=$bucket" "CodeKey=$key"
site=$(aws cloudformation describe-stack-resource --stack-name "$stack" \
    --logical-resource-id SiteBucket --output text \
    --query StackResourceDetail.PhysicalResourceId)
aws s3 sync --only-show-errors --delete "$page" "s3://$site"
